/**
 * Peers that we did not write, each as SCU and as SCP, against the running system: DCMTK, Orthanc, pynetdicom, dcmjs-dimse.
 * What each has stored is found and comes back to it; what is moved arrives at it.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import dcmjsDimse from 'dcmjs-dimse';
import {
  eventually,
  freePort,
  generateInstance,
  runDcmtk,
  startDcmqrscp,
  startOrthanc,
  startStorescp,
  writeInstance,
  type TestDcmqrscp,
  type TestOrthanc,
  type TestStorescp,
} from '@archipelago/testing';
import { startArchive, type Archive } from './support/archive';
import { pythonPeer, type SampleFile } from './support/python-peer';

jest.setTimeout(120_000);

const dcmjs = dcmjsDimse as unknown as Dcmjs;

const COUNT = 3;
const CT = '1.2.840.10008.5.1.4.1.1.2';

interface Study {
  folder: string;
  files: string[];
  study: string;
  instances: Map<string, Buffer>;
}

/** A study of CT images that no other test has. */
function makeStudy(folder: string, seed: string): Study {
  mkdirSync(folder);
  const instances = Array.from({ length: COUNT }, (_, index) =>
    generateInstance({ kind: 'ct', count: COUNT, seed, rows: 64, columns: 64 }, index),
  );
  const files = instances.map((_, index) => join(folder, `${index}.dcm`));
  instances.forEach((instance, index) => writeInstance(files[index]!, instance));
  return {
    folder,
    files,
    study: instances[0]!.studyInstanceUid,
    instances: new Map(instances.map((instance) => [instance.sopInstanceUid, instance.dataset()])),
  };
}

/** Whether the received Part 10 files hold exactly the data sets of the study. */
function expectSameBytes(files: string[], { instances }: Study): void {
  expect(files).toHaveLength(COUNT);
  const received = files.map((file) => readFileSync(file));
  for (const dataset of instances.values())
    expect(received.filter((file) => file.subarray(-dataset.length).equals(dataset))).toHaveLength(1);
}

describe.each(['standalone', 'separate'] as const)('%s', (mode) => {
  let root: string;
  let archive: Archive;
  let storescp: TestStorescp;
  let dcmqrscp: TestDcmqrscp;
  let orthanc: TestOrthanc;
  let ports: Record<'orthanc' | 'dcmqrscp' | 'storescp' | 'python' | 'dcmjs' | 'movescu', number>;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'archipelago-peers-'));
    const names = ['orthanc', 'dcmqrscp', 'storescp', 'python', 'dcmjs', 'movescu'] as const;
    const free = await Promise.all(names.map(() => freePort()));
    ports = Object.fromEntries(names.map((name, index) => [name, free[index]])) as typeof ports;
    const peers = names.map((name) => ({ aeTitle: name.toUpperCase(), host: '127.0.0.1', port: ports[name] }));
    archive = await startArchive({ mode, config: { peers } });
    const us = { aet: 'ARCHIPELAGO', host: '127.0.0.1', port: archive.port };
    storescp = await startStorescp({ aet: 'STORESCP', port: ports.storescp, args: ['--bit-preserving'] });
    dcmqrscp = await startDcmqrscp({ aet: 'DCMQRSCP', port: ports.dcmqrscp, peers: [us] });
    orthanc = await startOrthanc({ aet: 'ORTHANC', port: ports.orthanc, peers: { archipelago: us } });
  });
  afterAll(async () => {
    await Promise.all([storescp?.stop(), dcmqrscp?.stop(), orthanc?.stop()]);
    await archive?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const address = (): string[] => ['-aec', archive.aeTitle, '127.0.0.1', String(archive.port)];
  const newFolder = (name: string): string => {
    const folder = join(root, name);
    mkdirSync(folder);
    return folder;
  };
  const sample = (study: Study): Pick<SampleFile, 'path' | 'sopClass' | 'sopInstance' | 'syntax'>[] =>
    [...study.instances.keys()].map((sopInstance, index) => ({
      path: study.files[index]!,
      sopClass: CT,
      sopInstance,
      syntax: '1.2.840.10008.1.2.1',
    }));
  async function stored(name: string): Promise<Study> {
    const study = makeStudy(join(root, name), `${mode} ${name}`);
    const answers = await pythonPeer.store({ port: archive.port }, sample(study));
    expect(answers.map((answer) => answer.status)).toEqual(Array(COUNT).fill(0));
    await archive.indexed();
    return study;
  }
  async function move(study: Study, destination: string): Promise<void> {
    const args = [
      '-S',
      '-v',
      '-aem',
      destination,
      '-k',
      'QueryRetrieveLevel=STUDY',
      '-k',
      `StudyInstanceUID=${study.study}`,
    ];
    expect(await runDcmtk('movescu', [...args, ...address()])).toMatchObject({ code: 0 });
  }

  describe('DCMTK', () => {
    it('as SCU: echoscu, storescu, findscu, getscu, movescu', async () => {
      expect(await runDcmtk('echoscu', address())).toMatchObject({ code: 0 });
      const study = makeStudy(join(root, 'dcmtk'), `${mode} dcmtk`);
      expect(await runDcmtk('storescu', ['+sd', ...address(), study.folder])).toMatchObject({ code: 0 });
      await archive.indexed();
      const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${study.study}`];
      const found = await runDcmtk('findscu', [
        '-S',
        '-v',
        ...keys,
        '-k',
        'NumberOfStudyRelatedInstances',
        ...address(),
      ]);
      expect(found.code).toBe(0);
      expect(found.output).toMatch(new RegExp(`\\(0020,1208\\) IS \\[${COUNT} *\\]`));
      const got = newFolder('dcmtk-get');
      expect(await runDcmtk('getscu', ['-S', '+B', '-od', got, ...keys, ...address()])).toMatchObject({ code: 0 });
      expectSameBytes(
        readdirSync(got).map((name) => join(got, name)),
        study,
      );
      const moved = newFolder('dcmtk-move');
      const own = ['-aet', 'MOVESCU', '-aem', 'MOVESCU', '+P', String(ports.movescu), '--bit-preserving'];
      expect(await runDcmtk('movescu', ['-S', ...own, ...keys, ...address()], { cwd: moved })).toMatchObject({
        code: 0,
      });
      expectSameBytes(
        readdirSync(moved).map((name) => join(moved, name)),
        study,
      );
    });

    it('as SCP: storescp is a C-MOVE destination', async () => {
      const study = await stored('storescp');
      await move(study, 'STORESCP');
      expectSameBytes(storescp.files(), study);
    });

    it('as SCP: dcmqrscp is a C-MOVE destination, and sends to us when it is asked to', async () => {
      const study = await stored('dcmqrscp');
      await move(study, 'DCMQRSCP');
      const theirs = ['-aec', 'DCMQRSCP', '127.0.0.1', String(ports.dcmqrscp)];
      const got = newFolder('dcmqrscp-get');
      const keys = ['-S', '-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${study.study}`];
      expect(await runDcmtk('getscu', ['+B', '-od', got, ...keys, ...theirs])).toMatchObject({ code: 0 });
      expect(readdirSync(got)).toHaveLength(COUNT);
      // a study that it alone has: we are its C-MOVE destination
      const other = makeStudy(join(root, 'dcmqrscp-own'), `${mode} dcmqrscp-own`);
      expect(await runDcmtk('storescu', ['+sd', ...theirs, other.folder])).toMatchObject({ code: 0 });
      const ask = [
        '-S',
        '-aem',
        archive.aeTitle,
        '-k',
        'QueryRetrieveLevel=STUDY',
        '-k',
        `StudyInstanceUID=${other.study}`,
      ];
      expect(await runDcmtk('movescu', [...ask, ...theirs])).toMatchObject({ code: 0 });
      await archive.indexed();
      expect(await countOf(other.study)).toBe(COUNT);
    });
  });

  describe('Orthanc', () => {
    it('as SCU: echoes, stores, finds and retrieves by C-MOVE to itself', async () => {
      const study = makeStudy(join(root, 'orthanc'), `${mode} orthanc`);
      for (const file of study.files) await orthanc.rest('POST', '/instances', readFileSync(file));
      await orthanc.rest('POST', '/modalities/archipelago/echo', {});
      const ids = await orthanc.rest<string[]>('GET', '/instances');
      const result = await orthanc.rest<{ FailedInstancesCount: number; InstancesCount: number }>(
        'POST',
        '/modalities/archipelago/store',
        { Resources: ids, Synchronous: true },
      );
      expect(result).toMatchObject({ FailedInstancesCount: 0, InstancesCount: COUNT });
      await archive.indexed();
      for (const id of ids) await orthanc.rest('DELETE', `/instances/${id}`);
      const query = await orthanc.rest<{ ID: string }>('POST', '/modalities/archipelago/query', {
        Level: 'Study',
        Query: { StudyInstanceUID: study.study },
      });
      expect(await orthanc.rest('GET', `/queries/${query.ID}/answers`)).toHaveLength(1);
      await orthanc.rest('POST', `/queries/${query.ID}/retrieve`, { TargetAet: 'ORTHANC', Synchronous: true });
      expect(await orthanc.rest<string[]>('GET', '/instances')).toHaveLength(COUNT);
    });

    it('as SCP: is a C-MOVE destination, and keeps the bytes that we send', async () => {
      for (const id of await orthanc.rest<string[]>('GET', '/instances'))
        await orthanc.rest('DELETE', `/instances/${id}`);
      const study = await stored('to-orthanc');
      await move(study, 'ORTHANC');
      const ids = await orthanc.rest<string[]>('GET', '/instances');
      expect(ids).toHaveLength(COUNT);
      const tags = await Promise.all(
        ids.map((id) => orthanc.rest<Record<string, string>>('GET', `/instances/${id}/simplified-tags`)),
      );
      expect(tags.map((tag) => tag['SOPInstanceUID']).sort()).toEqual([...study.instances.keys()].sort());
    });
  });

  describe('pynetdicom', () => {
    it('as SCU and as SCP: stores, finds, gets, and is a C-MOVE destination', async () => {
      const study = await stored('python');
      const to = { port: archive.port, calling: 'PYTHON' };
      const keys = { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: study.study };
      const pairs = [[CT, '1.2.840.10008.1.2.1'] as const];
      const [found] = await pythonPeer.find(to, [{ model: 'S', keys }]);
      expect(found!.statuses).toEqual([0xff00, 0]);
      const [got] = await pythonPeer.get(to, [{ model: 'S', keys, pairs }]);
      const receiver = { ...to, destination: 'PYTHON', destinationPort: ports.python, pairs };
      const [moved] = await pythonPeer.move(receiver, [{ model: 'S', keys }]);
      for (const answer of [got!, moved!]) {
        expect(answer.counts).toMatchObject({ completed: COUNT, failed: 0, warning: 0 });
        expect(answer.received.map((one) => one.sopInstance).sort()).toEqual([...study.instances.keys()].sort());
      }
      expect(moved!.received.map((one) => one.originator.trim())).toEqual(Array(COUNT).fill('PYTHON'));
    });
  });

  describe('dcmjs-dimse', () => {
    beforeAll(() => {
      dcmjs.log.disableAll();
      // it complains of elements whose VR depends on others, on the console
      jest.spyOn(console, 'error').mockImplementation(() => undefined);
    });
    afterAll(() => jest.restoreAllMocks());

    it('as SCU: echo, store, find, get', async () => {
      const study = makeStudy(join(root, 'dcmjs'), `${mode} dcmjs`);
      const requests = [
        new dcmjs.requests.CEchoRequest(),
        ...study.files.map((file) => new dcmjs.requests.CStoreRequest(file)),
      ];
      expect(await dcmjsRun(requests)).toEqual(Array(COUNT + 1).fill(0));
      await archive.indexed();
      const find = dcmjs.requests.CFindRequest.createStudyFindRequest({ StudyInstanceUID: study.study });
      expect(await dcmjsRun([find])).toEqual([0xff00, 0]);
      const received: string[] = [];
      const get = dcmjs.requests.CGetRequest.createStudyGetRequest(study.study);
      expect((await dcmjsRun([get], received)).at(-1)).toBe(0);
      expect(received.sort()).toEqual([...study.instances.keys()].sort());
    });

    it('as SCP: is a C-MOVE destination', async () => {
      const study = await stored('to-dcmjs');
      const received: string[] = [];
      class Receiver extends dcmjs.Scp {
        associationRequested(association: DcmjsAssociation): void {
          for (const { id } of association.getPresentationContexts()) {
            const context = association.getPresentationContext(id);
            context.setResult(0, context.getTransferSyntaxUids()[0]);
          }
          this.sendAssociationAccept();
        }
        cStoreRequest(request: DcmjsStore, callback: (response: object) => void): void {
          received.push(request.getAffectedSopInstanceUid());
          const response = dcmjs.responses.CStoreResponse.fromRequest(request);
          response.setStatus(0);
          callback(response);
        }
        associationReleaseRequested(): void {
          this.sendAssociationReleaseResponse();
        }
      }
      const server = new dcmjs.Server(Receiver);
      server.on('networkError', () => undefined);
      server.listen(ports.dcmjs);
      try {
        await move(study, 'DCMJS');
        expect(received.sort()).toEqual([...study.instances.keys()].sort());
      } finally {
        server.close();
      }
    });
  });

  async function countOf(study: string): Promise<number> {
    const keys = { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: study, NumberOfStudyRelatedInstances: '' };
    return eventually('the study', async () => {
      const [answer] = await pythonPeer.find({ port: archive.port }, [{ model: 'S', keys }]);
      return answer!.matches[0]?.['NumberOfStudyRelatedInstances'] as number | undefined;
    });
  }

  /** Statuses of all responses, in order. */
  async function dcmjsRun(requests: DcmjsRequest[], received: string[] = []): Promise<number[]> {
    const statuses: number[] = [];
    const client = new dcmjs.Client();
    for (const request of requests) {
      request.on('response', (response: { getStatus(): number }) => statuses.push(response.getStatus()));
      client.addRequest(request);
    }
    client.on('cStoreRequest', (request: DcmjsStore, callback: (response: object) => void) => {
      received.push(request.getAffectedSopInstanceUid());
      const response = dcmjs.responses.CStoreResponse.fromRequest(request);
      response.setStatus(0);
      callback(response);
    });
    await new Promise<void>((resolve, reject) => {
      client.on('closed', resolve);
      client.on('networkError', reject);
      client.send('127.0.0.1', archive.port, 'DCMJS', archive.aeTitle);
    });
    return statuses;
  }
});

/** What we use of dcmjs-dimse; its own typings do not know all of it. */
interface DcmjsRequest {
  on(event: 'response', listener: (response: { getStatus(): number }) => void): void;
}
interface DcmjsStore {
  getAffectedSopInstanceUid(): string;
}
interface DcmjsAssociation {
  getPresentationContexts(): { id: number }[];
  getPresentationContext(id: number): {
    setResult(result: number, syntax?: string): void;
    getTransferSyntaxUids(): string[];
  };
}
interface Dcmjs {
  log: { disableAll(): void };
  Scp: new (...args: unknown[]) => { sendAssociationAccept(): void; sendAssociationReleaseResponse(): void };
  Server: new (scp: unknown) => {
    on(event: string, listener: () => void): void;
    listen(port: number): void;
    close(): void;
  };
  Client: new () => {
    addRequest(request: DcmjsRequest): void;
    on(event: string, listener: (...args: never[]) => void): void;
    send(host: string, port: number, calling: string, called: string): void;
  };
  requests: {
    CEchoRequest: new () => DcmjsRequest;
    CStoreRequest: new (file: string) => DcmjsRequest;
    CFindRequest: { createStudyFindRequest(keys: Record<string, string>): DcmjsRequest };
    CGetRequest: { createStudyGetRequest(study: string): DcmjsRequest };
  };
  responses: { CStoreResponse: { fromRequest(request: DcmjsStore): { setStatus(status: number): void } } };
}
