export * from './model';
export type { KnownNames } from './parse-actions';
export { parseRules, type LooksAt, type ParseOptions, type ParseResult } from './parse-rules';
export { compile, type CompiledRules } from './compile';
export {
  evaluate,
  type EffectiveValue,
  type Evaluation,
  type EvaluateOptions,
  type Outcome,
  type RuleExplanation,
  type RuleFailure,
  type RuleInput,
} from './evaluate';
export { dryRun, type Difference, type DryRun, type DryRunOptions, type RuleCount } from './dry-run';
export { explain } from './explain';
export { obscured } from './apply-action';
export type { TagValue, TagValues } from './tag-types';
export { valueProblem } from './value-check';
