/**
 * Three sizes of test, told apart by file name:
 *   *.spec.ts              unit: no servers, no network beyond loopback sockets of the test itself
 *   *.integration.spec.ts  real servers and peers (NATS, PostgreSQL, MinIO, DCMTK, pynetdicom, Orthanc)
 *   *.e2e.spec.ts          the running system
 */
const swc = {
  jsc: {
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    target: 'es2022',
    keepClassNames: true,
  },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
};
const base = {
  rootDir: __dirname,
  roots: ['<rootDir>/apps', '<rootDir>/libs', '<rootDir>/tools'],
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['development', 'node', 'require', 'default'] },
  // ES modules of packages that have no other form: Jest's require() does not take them, Node's does.
  transform: { '^.+\\.ts$': ['@swc/jest', swc], '/@marcbachmann/cel-js/.+\\.js$': ['@swc/jest', swc] },
  transformIgnorePatterns: ['/node_modules/(?!@marcbachmann/cel-js/)'],
  modulePathIgnorePatterns: ['<rootDir>/.*/dist/', '<rootDir>/data/'],
  setupFiles: ['reflect-metadata'],
};
module.exports = {
  testTimeout: 30_000,
  projects: [
    {
      ...base,
      displayName: 'unit',
      testMatch: ['**/*.spec.ts'],
      testPathIgnorePatterns: ['/node_modules/', '/dist/', '\\.(integration|e2e)\\.spec\\.ts$'],
    },
    { ...base, displayName: 'integration', testMatch: ['**/*.integration.spec.ts'] },
    { ...base, displayName: 'e2e', testMatch: ['**/*.e2e.spec.ts'] },
  ],
};
