import { connect, type ClientAssociation } from '@archipelago/dimse';
import { writeDataset } from '@archipelago/dicom-encoding';
import { LARGE_OBJECT } from './memory';
import { startUs, type Us } from './receivers';
import { atMost, millis, type BenchContext, type Benchmark, type BenchResult } from './report';
import { storescu } from './senders';
import { percentile } from './statistics';
import { writeStudy, type StudyFiles } from './study-files';

const STUDY_ROOT_FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const EXPLICIT_LE = '1.2.840.10008.1.2.1';
const POLL_MS = 10;
const GIVE_UP_MS = 30_000;
const SENDERS = 4;
const INSTANCES = 10;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function openQuery(us: Us): Promise<ClientAssociation> {
  return connect({
    host: '127.0.0.1',
    port: us.port,
    calledAeTitle: us.aet,
    callingAeTitle: 'BENCH',
    contexts: [{ abstractSyntax: STUDY_ROOT_FIND, transferSyntaxes: [EXPLICIT_LE] }],
  });
}

/** How many instances of the study C-FIND tells of; 0 while the study is not found. */
async function found(query: ClientAssociation, studyInstanceUid: string): Promise<number> {
  const identifier = writeDataset(
    {
      '00080052': { vr: 'CS', Value: ['STUDY'] },
      '0020000D': { vr: 'UI', Value: [studyInstanceUid] },
      '00201208': { vr: 'IS' },
    },
    EXPLICIT_LE,
  );
  let instances = 0;
  for await (const response of query.find(STUDY_ROOT_FIND, identifier)) {
    if (response.identifier) instances = countIn(response.identifier);
    else if (response.status !== 0) throw new Error(`C-FIND answered ${response.status.toString(16)}`);
  }
  return instances;
}

/** NumberOfStudyRelatedInstances (0020,1208) of an Explicit VR Little Endian identifier. */
function countIn(identifier: Buffer): number {
  const at = identifier.indexOf(Buffer.from([0x20, 0x00, 0x08, 0x12, 0x49, 0x53]));
  if (at < 0) return 0;
  return Number(identifier.toString('latin1', at + 8, at + 8 + identifier.readUInt16LE(at + 6)).trim());
}

/** Milliseconds from the sender's release until C-FIND tells of the whole study. */
async function timeToFind(query: ClientAssociation, study: StudyFiles): Promise<number> {
  const released = performance.now();
  while ((await found(query, study.studyInstanceUid)) < study.files.length) {
    if (performance.now() - released > GIVE_UP_MS) throw new Error('a stored study was not found within 30 s');
    await pause(POLL_MS);
  }
  return performance.now() - released;
}

/** Four senders, each study after study; each asks for what it has just sent. */
async function steadyLoad(us: Us, studiesPerSender: number): Promise<number[]> {
  const times: number[] = [];
  const sender = async (sender: number): Promise<void> => {
    const query = await openQuery(us);
    for (let n = 0; n < studiesPerSender; n++) {
      const study = writeStudy({ name: `latency-${sender}`, seed: `${process.pid}:${sender}:${n}`, count: INSTANCES });
      await storescu(us, [study.files], true);
      times.push(await timeToFind(query, study));
      study.remove();
    }
    await query.release();
  };
  await Promise.all(Array.from({ length: SENDERS }, (_, i) => sender(i)));
  return times;
}

/** Small studies beside four associations that send 1 GiB objects until enough studies were found. */
async function largeLoad(us: Us, folder: string, studies: number): Promise<number[]> {
  const large = writeStudy({ name: 'large', seed: `${process.pid}:large`, count: SENDERS, folder, ...LARGE_OBJECT });
  let enough = false;
  const load = large.files.map(async (file) => {
    while (!enough) await storescu(us, [[file]], true);
  });
  const times: number[] = [];
  try {
    const query = await openQuery(us);
    for (let n = 0; n < studies; n++) {
      const study = writeStudy({ name: 'probe', seed: `${process.pid}:probe:${n}`, count: INSTANCES });
      await storescu(us, [study.files], true);
      times.push(await timeToFind(query, study));
      study.remove();
    }
    await query.release();
  } finally {
    enough = true;
    await Promise.all(load);
    large.remove();
  }
  return times;
}

async function run(context: BenchContext): Promise<BenchResult> {
  const { folder, rounds, note } = context;
  const us = await startUs(folder);
  try {
    await steadyLoad(us, 3);
    const steady = await steadyLoad(us, rounds * 5);
    note(`${steady.length} studies under four senders of CT`);
    const large = await largeLoad(us, folder, rounds * 4);
    note(`${large.length} studies beside four senders of 1 GiB objects`);
    const columns = ['load', 'studies', 'median', 'p95', 'p99', 'slowest'];
    const row = (name: string, values: number[]): string[] => [
      name,
      String(values.length),
      ...[50, 95, 99, 100].map((percent) => millis(percentile(values, percent), 0)),
    ];
    const show = (value: number): string => millis(value, 0);
    return {
      tables: [
        {
          title: `From release to found by C-FIND, studies of ${INSTANCES} CT`,
          columns,
          rows: [
            row('four associations sending such studies', steady),
            row('four associations sending 1 GiB objects', large),
          ],
        },
      ],
      verdicts: [
        atMost('release to found, p99, four associations of CT', percentile(steady, 99), 2000, show),
        atMost('release to found, p99, beside four associations of 1 GiB objects', percentile(large, 99), 2000, show),
      ],
      notes: [
        'polled every 10 ms; found means that C-FIND gives the full number of instances',
        'the senders run on the same cores',
      ],
      raw: { steady, large },
    };
  } finally {
    await us.stop();
  }
}

export const latency: Benchmark = { name: 'latency', summary: 'from release to found by C-FIND, under load', run };
