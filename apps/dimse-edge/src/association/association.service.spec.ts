import type { AssociateRequest, AssociationInfo } from '@archipelago/dimse';
import { coreConfig, Logger, MetricsRegistry, parseArchipelagoConfig } from '@archipelago/platform-service';
import { edgeConfig } from '../edge.config';
import { EdgeMetrics } from '../edge.metrics';
import type { ArchiveDirectory } from '../fetch/archive-directory';
import { APPLICATION_CONTEXT } from './association-policy';
import { principalOf } from './association-state';
import { AssociationService } from './association.service';

const FILE = `
site: main
issuer: NORTH
peers:
  - { aeTitle: OWN, issuer: SOUTH }
  - { aeTitle: PLAIN }
`;

function principalIssuer(callingAeTitle: string, file = FILE): string | undefined {
  const service = new AssociationService(
    parseArchipelagoConfig(file),
    coreConfig.load({}),
    edgeConfig.load({ ARCHIPELAGO_ACCEPT_UNKNOWN_PEERS: 'true' }),
    { caller: () => undefined } as unknown as ArchiveDirectory,
    new EdgeMetrics(new MetricsRegistry()),
    Logger.create('test', 'silent'),
  );
  const request = {
    calledAeTitle: 'ARCHIPELAGO',
    callingAeTitle,
    applicationContext: APPLICATION_CONTEXT,
    contexts: [],
    roles: [],
    extended: [],
    remoteAddress: '10.0.0.7',
  } as unknown as AssociateRequest;
  const info = { id: '1', data: undefined } as unknown as AssociationInfo;
  expect(service.associate(request, info, []).accept).toBe(true);
  return principalOf(info, 'main').issuer;
}

it('an unqualified PatientID means the issuer of the peer, else that of the site file', () => {
  expect(principalIssuer('OWN')).toBe('SOUTH');
  expect(principalIssuer('PLAIN')).toBe('NORTH');
  expect(principalIssuer('STRANGER')).toBe('NORTH');
  expect(principalIssuer('STRANGER', 'site: main')).toBeUndefined();
});
