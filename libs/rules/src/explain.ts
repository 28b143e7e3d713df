import type { Evaluation, Outcome, RuleExplanation } from './evaluate';

const TEXTS: Record<Outcome, string> = {
  applied: 'applied',
  overruled: 'matched, without effect',
  scope: 'not in scope',
  'condition-false': 'condition false',
  absent: 'condition cannot be met, absent',
  error: 'failed',
  disabled: 'disabled',
};

/** An evaluation for people, a line per rule and per value; `values` shows the values of the object too. */
export function explain(evaluation: Evaluation, options: { values?: boolean } = {}): string {
  const lines = [`rules version ${evaluation.version}, ${evaluation.digest.slice(0, 12)}`];
  for (const one of evaluation.explanation) lines.push(lineOf(one));
  for (const { keyword, values, original, rule, how } of evaluation.effective.values()) {
    const change = options.values
      ? `: ${original.join('\\')} -> ${values === null ? '(removed)' : values.join('\\')}`
      : '';
    lines.push(`${keyword} by ${rule} (${how})${change}`);
  }
  if (evaluation.denied) lines.push(`denied by ${evaluation.denied.rule}: ${evaluation.denied.reason}`);
  for (const { rule, to } of evaluation.routes) {
    lines.push(`routed to ${'archive' in to ? `archive ${to.archive}` : `workstation ${to.workstation}`} by ${rule}`);
  }
  for (const { rule, message, offset } of evaluation.failures) {
    lines.push(`failure of ${rule}${offset === undefined ? '' : ` at character ${offset}`}: ${message}`);
  }
  return lines.join('\n');
}

function lineOf({ rule, phase, outcome, detail, skipped }: RuleExplanation): string {
  const more = [...(detail === undefined ? [] : [detail]), ...(skipped ?? [])].join('; ');
  return `${phase} ${rule}: ${TEXTS[outcome]}${more === '' ? '' : ` (${more})`}`;
}
