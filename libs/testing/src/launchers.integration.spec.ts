import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, createConnection } from 'node:net';
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Client } from 'pg';
import {
  runDcmtk,
  runPythonCode,
  startDcmqrscp,
  startMinio,
  startNats,
  startOrthanc,
  startPostgres,
  startProxy,
  startStorescp,
} from './launchers';
import { removeFolder, temporaryFolder } from './servers/server';

jest.setTimeout(90_000);

const imageScript = `
import sys
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import generate_uid, ExplicitVRLittleEndian
d = Dataset(); d.file_meta = FileMetaDataset()
d.SOPClassUID = '1.2.840.10008.5.1.4.1.1.7'; d.SOPInstanceUID = generate_uid()
d.StudyInstanceUID = generate_uid(); d.SeriesInstanceUID = generate_uid()
d.PatientID = 'P1'; d.PatientName = 'Test^One'; d.Modality = 'OT'
d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID; d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
d.save_as(sys.argv[1], enforce_file_format=True)
print(d.StudyInstanceUID)
`;

describe('server launchers', () => {
  const folder = temporaryFolder('launchers');
  afterAll(() => removeFolder(folder));

  async function image(): Promise<{ file: string; study: string }> {
    const file = join(folder, 'one.dcm');
    const made = await runPythonCode(imageScript, [file]);
    expect(made.stderr).toBe('');
    return { file, study: made.stdout.trim() };
  }

  it('nats: JetStream keeps messages over kill -9 and loses them with its volume', async () => {
    const nats = await startNats();
    try {
      let connection = await connect({ servers: nats.url });
      await (await jetstreamManager(connection)).streams.add({ name: 'T', subjects: ['t.>'] });
      await jetstream(connection).publish('t.1', 'x');
      await connection.close();
      await nats.kill9();
      await nats.restart();
      connection = await connect({ servers: nats.url });
      expect((await (await jetstreamManager(connection)).streams.info('T')).state.messages).toBe(1);
      await connection.close();
      await nats.kill9();
      nats.wipe();
      await nats.restart();
      connection = await connect({ servers: nats.url });
      await expect((await jetstreamManager(connection)).streams.info('T')).rejects.toThrow(/not found/);
      await connection.close();
    } finally {
      await nats.stop();
    }
  });

  it('postgres: durable settings, fresh databases, rows survive kill -9', async () => {
    const postgres = await startPostgres();
    try {
      const url = await postgres.createDatabase();
      let client = new Client({ connectionString: url });
      await client.connect();
      client.on('error', () => undefined);
      expect((await client.query('SHOW fsync')).rows).toEqual([{ fsync: 'on' }]);
      expect((await client.query(`SELECT lower('ÄÖ') AS l`)).rows).toEqual([{ l: 'äö' }]);
      await client.query('CREATE TABLE t AS SELECT 7 AS n');
      await postgres.kill9();
      await postgres.restart();
      client = new Client({ connectionString: url });
      await client.connect();
      expect((await client.query('SELECT n FROM t')).rows).toEqual([{ n: 7 }]);
      await client.end();
      expect(await postgres.createDatabase()).not.toBe(url);
    } finally {
      await postgres.stop();
    }
  });

  it('minio: takes and returns an object', async () => {
    const minio = await startMinio();
    try {
      await minio.client.putObject(minio.bucket, 'a/b', Buffer.from('hello'));
      await minio.kill9();
      await minio.restart();
      const chunks: Buffer[] = [];
      for await (const chunk of await minio.client.getObject(minio.bucket, 'a/b')) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).toString()).toBe('hello');
      expect(minio.env.ARCHIPELAGO_OBJECT_STORE).toBe(`s3:http://127.0.0.1:${minio.port}/archipelago`);
    } finally {
      await minio.stop();
    }
  });

  it('orthanc, storescp: an image goes from storescu to Orthanc and by C-MOVE to storescp', async () => {
    const storescp = await startStorescp({ aet: 'DEST' });
    const orthanc = await startOrthanc({ peers: { dest: { aet: 'DEST', port: storescp.port } } });
    try {
      const { file, study } = await image();
      const stored = await runDcmtk('storescu', ['-aec', orthanc.aet, '127.0.0.1', String(orthanc.port), file]);
      expect(stored).toMatchObject({ code: 0 });
      expect(await orthanc.rest('GET', '/instances')).toHaveLength(1);
      const moved = await runDcmtk('movescu', [
        ...['-S', '-aec', orthanc.aet, '-aem', 'DEST', '-k', 'QueryRetrieveLevel=STUDY'],
        ...['-k', `StudyInstanceUID=${study}`, '127.0.0.1', String(orthanc.port)],
      ]);
      expect(moved).toMatchObject({ code: 0 });
      expect(storescp.files()).toHaveLength(1);
    } finally {
      await orthanc.stop();
      await storescp.stop();
    }
  });

  it('dcmqrscp: stores and finds', async () => {
    const archive = await startDcmqrscp();
    try {
      const { file, study } = await image();
      expect(await runDcmtk('storescu', ['-aec', archive.aet, '127.0.0.1', String(archive.port), file])).toMatchObject({
        code: 0,
      });
      const found = await runDcmtk('findscu', [
        ...['-v', '-S', '-aec', archive.aet, '-k', 'QueryRetrieveLevel=STUDY', '-k', 'PatientID=P1'],
        ...['-k', 'StudyInstanceUID', '127.0.0.1', String(archive.port)],
      ]);
      expect(found.output).toContain(study);
    } finally {
      await archive.stop();
    }
  });

  it('proxy: passes, holds, cuts', async () => {
    const echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const proxy = await startProxy({ port: (echo.address() as { port: number }).port });
    try {
      const socket = createConnection({ port: proxy.port, host: proxy.host });
      const answer = (): Promise<string> =>
        new Promise((resolve) => socket.once('data', (data) => resolve(data.toString())));
      socket.write('one');
      expect(await answer()).toBe('one');
      proxy.mode = 'hold';
      socket.write('two');
      expect(await Promise.race([answer(), new Promise((resolve) => setTimeout(() => resolve('silence'), 200))])).toBe(
        'silence',
      );
      const closed = new Promise<string | undefined>((resolve) =>
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code)),
      );
      proxy.cut();
      expect(await closed).toBe('ECONNRESET');
      expect(proxy.open).toBe(0);
    } finally {
      await proxy.stop();
      echo.close();
    }
  });

  it('names what to install when a tool is missing', () => {
    expect(() => runDcmtk('no-such-tool', [])).toThrow(/Debian's package dcmtk/);
    writeFileSync(join(folder, 'kept'), '');
  });
});
