import { classifyError, Logger, PermanentError, toProblem, TransientError } from '../index';

function capture(log: (logger: Logger) => void): Record<string, unknown> & { raw: string } {
  let raw = '';
  log(Logger.create('probe', 'info', { write: (line: string) => void (raw += line) }));
  return { ...(JSON.parse(raw) as Record<string, unknown>), raw };
}

describe('logs', () => {
  it('keep allowed fields and leave out the rest, counted', () => {
    const line = capture((logger) => logger.info('stored', { packId: 'p', PatientName: 'Doe^Jane', entries: 3 }));
    expect(line).toMatchObject({
      service: 'probe',
      level: 'info',
      msg: 'stored',
      packId: 'p',
      entries: 3,
      fieldsLeftOut: 1,
    });
    expect(line.raw).not.toContain('Doe');
  });

  it('do not repeat values that foreign errors quote', () => {
    const error = new Error('duplicate key, Key (patient_id)=(12345), value "Doe^Jane"');
    const line = capture((logger) => logger.error('failed', { err: error }));
    expect(line.raw).not.toMatch(/12345|Doe/);
    expect(line.raw).toContain('duplicate key');
    expect(capture((logger) => logger.error(error)).raw).not.toMatch(/12345|Doe/);
    expect(capture((logger) => logger.error('x', { err: new PermanentError('c', 'our own words') })).raw).toContain(
      'our own words',
    );
  });

  it('stay one line', () => {
    const { raw } = capture((logger) => logger.info('x', { reason: 'a\nb\u0000c' }));
    expect(raw.trim().split('\n')).toHaveLength(1);
  });
});

describe('errors', () => {
  it('are sorted into three classes', () => {
    expect(classifyError(new TransientError('a', 'b')).kind).toBe('transient');
    expect(classifyError(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })).kind).toBe('transient');
    expect(classifyError(Object.assign(new Error('x'), { kind: 'permanent', code: 'dataset' }))).toMatchObject({
      kind: 'permanent',
      code: 'dataset',
    });
    expect(classifyError(new TypeError('x')).kind).toBe('bug');
    expect(classifyError('x').kind).toBe('bug');
  });

  it('become problems, bugs without detail', () => {
    expect(toProblem(new TransientError('away', 'no database'))).toMatchObject({
      status: 503,
      code: 'away',
      detail: 'no database',
    });
    expect(toProblem(new Error('Key (patient_id)=(1)'))).toEqual({
      type: 'about:blank',
      title: 'Internal Server Error',
      status: 500,
      code: 'unexpected',
    });
  });
});
