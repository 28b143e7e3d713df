import { natsConfig } from './nats-server';
import { postgresSettings } from './postgres';
import { plainUser } from './postgres-user';
import { guardedCommand } from './child';

describe('settings of the embedded servers', () => {
  it('nats: loopback only, synced on every write where the server knows how', () => {
    const options = { folder: '/x', port: 4222, credentials: { user: 'u', password: 'p' } };
    const config = natsConfig(options, '2.15.2');
    expect(config).toContain('listen: "127.0.0.1:4222"');
    expect(config).toContain('sync_interval: always');
    expect(config).toContain('authorization { user: "u", password: "p" }');
    expect(natsConfig(options, '2.9.10')).not.toContain('sync_interval');
  });

  it('postgres: durable, loopback only, no statements in the log', () => {
    expect(postgresSettings(5432, 24 * 1024 ** 3)).toMatchObject({
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      shared_buffers: '1024MB',
      log_min_error_statement: 'panic',
    });
    expect(postgresSettings(5432, 256 * 1024 ** 2).shared_buffers).toBe('32MB');
  });

  it('runs PostgreSQL as a plain user only when we are root', () => {
    const user = plainUser('/does/not/exist', 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n');
    expect(user).toEqual(process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined);
  });

  (process.platform === 'linux' ? it : it.skip)('ties the child to us and drops capabilities', () => {
    const { args } = guardedCommand('/bin/true', ['x'], {
      user: { uid: 7, gid: 8 },
      capability: 'dac_read_search',
      deathSignal: 'SIGINT',
    });
    expect(args).toEqual([
      ...['--pdeathsig', 'INT', '--reuid', '7', '--regid', '8', '--clear-groups'],
      ...['--inh-caps', '-all,+dac_read_search', '--ambient-caps', '-all,+dac_read_search', '--', '/bin/true', 'x'],
    ]);
  });
});
