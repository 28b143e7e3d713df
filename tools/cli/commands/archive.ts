import { parseArgs, type ParseArgsConfig } from 'node:util';
import {
  ArchiveCommand,
  type ArchiveCommandV1,
  ArchiveStatus,
  type ArchiveStatusV1,
  type ArchiveV1,
  DriftList,
  type DriftReportV1,
} from '@archipelago/contracts';
import { UsageError, type GroupCommand, type LeafCommand, type Output } from '../command';
import { askRegistry } from './archive-client';
import { parseSettings, SETTINGS_HELP, wholeSettings } from './archive-settings';

function age(iso: string | undefined): string {
  if (iso === undefined) return 'never';
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(iso)) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} d ago`;
}

function stateOf({ archive, reachable }: ArchiveStatusV1): string {
  if (archive.state !== 'active') return archive.state;
  if (reachable === undefined) return 'not tried';
  return reachable ? 'reachable' : 'unreachable';
}

async function list(args: string[], out: Output): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } });
  const { archives } = await askRegistry(ArchiveStatus, {});
  if (values.json) {
    for (const each of archives) out.line(JSON.stringify(each));
    return 0;
  }
  if (archives.length === 0) out.note('no archives');
  for (const each of archives) {
    const { archive, asOf, completeTo, studies } = each;
    const where = `${archive.aeTitle}@${archive.host}:${archive.port}`;
    out.line(
      [
        archive.name,
        where,
        stateOf(each),
        `${studies} studies`,
        `as of ${age(asOf)}`,
        `depth ${completeTo} of ${archive.depth}`,
      ].join('  '),
    );
  }
  return 0;
}

async function show(args: string[], out: Output): Promise<number> {
  const { name, json } = nameOf(args);
  const { archives } = await askRegistry(ArchiveStatus, { name });
  const status = archives[0];
  if (!status) throw new Error(`there is no archive ${name}`);
  if (json) out.line(JSON.stringify(status));
  else for (const line of described(status)) out.line(line);
  return 0;
}

function described(status: ArchiveStatusV1): string[] {
  const { archive, lastError, waiting, leftOut } = status;
  const { capabilities, budget } = archive;
  const counts = (each: Record<string, number>): string =>
    Object.entries(each)
      .map(([key, n]) => `${key} ${n}`)
      .join(', ') || 'none';
  const offers = capabilities
    ? [
        ...(['studyRoot', 'patientRoot', 'relational'] as const)
          .filter((key) => capabilities.find[key])
          .map((key) => `C-FIND ${key}`),
        ...(capabilities.get ? ['C-GET'] : []),
        ...(capabilities.move ? ['C-MOVE'] : []),
        ...(capabilities.getWithoutBulkData ? ['C-GET without bulk data'] : []),
        ...(capabilities.dicomWeb ? ['DICOMweb'] : []),
      ].join(', ')
    : 'not probed yet';
  return [
    `archive        ${archive.name} (revision ${archive.revision})`,
    `where          ${archive.aeTitle}@${archive.host}:${archive.port}${archive.tls ? ' TLS' : ''}, site ${archive.site}`,
    ...(archive.dicomWebUrl === undefined ? [] : [`DICOMweb       ${archive.dicomWebUrl}`]),
    `issuer         ${archive.issuer ?? 'none'}`,
    `state          ${stateOf(status)}${lastError ? `, last error ${lastError.code} ${age(lastError.at)}` : ''}`,
    `offers         ${offers}${capabilities ? ` (probed ${age(capabilities.probedAt)})` : ''}`,
    `budget         ${budget.associations} associations, ${budget.requestsPerSecond || 'unbounded'} requests/s, ${budget.harvestBytesPerSecond || 'unbounded'} bytes/s, hours ${budget.harvestHours.join(',') || 'all'}`,
    `known          ${status.studies} studies as of ${age(status.asOf)}, complete to depth ${status.completeTo} of ${archive.depth}`,
    `waiting        ${counts(waiting)}`,
    `not listable   ${status.unlistable} parts${status.cap === undefined ? '' : `; it gives ${status.cap} answers to a query`}`,
    `left out       ${counts(leftOut)}`,
  ];
}

function nameOf(
  args: string[],
  more: NonNullable<ParseArgsConfig['options']> = {},
): { name: string; json: boolean; values: Record<string, unknown> } {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, ...more },
  });
  const [name, ...rest] = positionals;
  if (name === undefined || rest.length > 0) throw new UsageError('expected the name of one archive');
  return { name, json: values.json as boolean, values };
}

async function send(command: ArchiveCommandV1, json: boolean, done: string, out: Output): Promise<ArchiveV1> {
  const { archive } = await askRegistry(ArchiveCommand, command);
  out.line(json ? JSON.stringify(archive) : `${archive.name}: ${done}`);
  return archive;
}

async function add(args: string[], out: Output): Promise<number> {
  const { name, json, settings } = parseSettings(args);
  await send(
    { action: 'add', name, settings: wholeSettings(settings) } as ArchiveCommandV1,
    json,
    'added; it is probed and read now',
    out,
  );
  return 0;
}

async function set(args: string[], out: Output): Promise<number> {
  const { name, json, settings } = parseSettings(args);
  if (Object.keys(settings).length === 0) throw new UsageError('nothing to change');
  await send({ action: 'change', name, settings } as ArchiveCommandV1, json, 'changed', out);
  return 0;
}

function simple(action: 'pause' | 'resume' | 'remove', summary: string, done: string): LeafCommand {
  return {
    name: action,
    summary,
    help: 'NAME [--json]',
    async run(args, out) {
      const { name, json } = nameOf(args);
      await send({ action, name }, json, done, out);
      return 0;
    },
  };
}

async function probe(args: string[], out: Output): Promise<number> {
  const { name, json } = nameOf(args);
  const { archive } = await askRegistry(ArchiveCommand, { action: 'probe', name });
  const { archives } = await askRegistry(ArchiveStatus, { name });
  if (json) out.line(JSON.stringify(archive));
  else for (const line of described(archives[0] as ArchiveStatusV1)) out.line(line);
  return archive.capabilities?.reachable === true ? 0 : 1;
}

async function harvest(args: string[], out: Output): Promise<number> {
  const { name, json, values } = nameOf(args, {
    again: { type: 'boolean', default: false },
    study: { type: 'string', multiple: true },
  });
  const again = values['again'] === true;
  const studies = values['study'] as string[] | undefined;
  if (again && studies) throw new UsageError('--again reads everything anew: name no study');
  const what = studies ? 'is asked for these studies now' : again ? 'is read anew' : 'is looked at now';
  await send({ action: 'harvest', name, again, ...(studies ? { studies } : {}) }, json, what, out);
  return 0;
}

async function drift(args: string[], out: Output): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      run: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      max: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
    },
  });
  const [name] = positionals;
  if (values.run || values.full) {
    if (name === undefined) throw new UsageError('expected the name of an archive');
    await send({ action: 'audit', name, full: values.full }, values.json, 'the audit begins', out);
    return 0;
  }
  const limit = Number(values.max);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100)
    throw new UsageError(`--max ${values.max}: expected 1 to 100`);
  const { reports } = await askRegistry(DriftList, { archive: name, limit });
  for (const report of reports)
    for (const line of values.json ? [JSON.stringify(report)] : driftLines(report)) out.line(line);
  if (reports.length === 0) out.note('no drift reports');
  return 0;
}

function driftLines(report: DriftReportV1): string[] {
  const { id, archive, full, startedAt, finishedAt, compared, failed, examples } = report;
  const some = (each: Record<string, number>, none: string): string =>
    Object.entries(each)
      .filter(([, n]) => n > 0)
      .map(([level, n]) => `${level} ${n}`)
      .join(', ') || none;
  return [
    `${archive} #${id}, ${full ? 'everything' : 'a sample'}, begun ${startedAt}, ${finishedAt ? `over ${finishedAt}` : 'under way'}`,
    `  compared  ${some(compared, 'nothing yet')}`,
    `  appeared  ${some(report.appeared, 'none')}`,
    `  changed   ${some(report.changed, 'none')}`,
    `  vanished  ${some(report.vanished, 'none')}`,
    ...(failed > 0 ? [`  could not be compared: ${failed} parts`] : []),
    ...examples.slice(0, 10).map(({ what, level, uid }) => `  e.g. ${what} ${level} ${uid}`),
  ];
}

export const archive: GroupCommand = {
  name: 'archive',
  summary: 'the archives that Archipelago fronts',
  commands: [
    {
      name: 'list',
      summary: 'all of them, how old and how deep what is known of each is',
      help: '[--json]',
      run: list,
    },
    { name: 'show', summary: 'one, with all its settings', help: 'NAME [--json]', run: show },
    {
      name: 'add',
      summary: 'add one',
      help: `NAME --ae AETITLE --host HOST --port PORT [options]\n\n${SETTINGS_HELP}`,
      run: add,
    },
    {
      name: 'set',
      summary: 'change settings of one',
      help: `NAME [options]\n\nAn empty --issuer or --dicomweb takes it away.\n\n${SETTINGS_HELP}`,
      run: set,
    },
    simple('pause', 'ask it nothing for a while; what is known stays', 'paused'),
    simple('resume', 'go on where it was paused', 'goes on'),
    simple('remove', 'take it away: what only it has is no longer found; nothing that is held is deleted', 'removed'),
    {
      name: 'probe',
      summary: 'find out what it offers; exit status 1 when it cannot be reached',
      help: 'NAME [--json]',
      run: probe,
    },
    {
      name: 'harvest',
      summary: 'look for what is new now; --again reads everything anew, --study only that study, before all else',
      help: 'NAME [--again | --study UID ...] [--json]',
      run: harvest,
    },
    {
      name: 'drift',
      summary: 'reports of drift audits; --run begins one of a sample, --full of everything',
      help: '[NAME] [--run | --full] [--max N] [--json]',
      run: drift,
    },
  ],
};
