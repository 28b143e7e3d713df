import type { Principal } from '@archipelago/contracts';
import {
  levelRank,
  type CatalogLevel,
  type Predicate,
  type QueryAttribute,
  type SearchPlan,
} from '@archipelago/catalog-model';
import type { LabelFilter } from './access';
import { ISSUER_OF_PATIENT_ID, PATIENT_ID, personCondition } from './person-sql';
import { aliasOf, attributeOf, computedColumn, predicateCondition, type Alias } from './predicate-sql';
import { hidesOrder, labelsColumn, predicateKeys, restrictedMatching } from './restriction-sql';
import type { Restrictions } from './restrictions';
import { SqlBuilder } from './sql-builder';
import { shown } from '../shown';

/** How the rows of a level are ordered: always by columns that do not change while the row does not. */
export interface Order {
  kind: string;
  columns: string[];
  casts: string[];
  descending: boolean;
  shape: ('text' | 'integer')[];
}

const ORDERS: Record<CatalogLevel | 'PATIENTLESS', Order> = {
  PATIENT: {
    kind: 'patient',
    columns: ['p.patient_id', 'p.issuer', 'p.scope'],
    casts: ['text', 'text', 'text'],
    descending: false,
    shape: ['text', 'text', 'text'],
  },
  STUDY: {
    kind: 'study',
    columns: ['s.sort_date', 's.sort_time', 's.study_instance_uid', 's.id'],
    casts: ['int', 'bigint', 'text', 'bigint'],
    descending: true,
    shape: ['integer', 'integer', 'text', 'integer'],
  },
  SERIES: {
    kind: 'series',
    columns: ['x.study', 'x.sort_number', 'x.series_instance_uid', 'x.id'],
    casts: ['bigint', 'int', 'text', 'bigint'],
    descending: false,
    shape: ['integer', 'integer', 'text', 'integer'],
  },
  IMAGE: {
    kind: 'image',
    columns: ['i.series', 'i.sort_number', 'i.sop_instance_uid'],
    casts: ['bigint', 'int', 'text'],
    descending: false,
    shape: ['integer', 'integer', 'text'],
  },
  PATIENTLESS: {
    kind: 'patientless',
    columns: ['i.sop_class_uid', 'i.sop_instance_uid'],
    casts: ['text', 'text'],
    descending: false,
    shape: ['text', 'text'],
  },
};

/** Where what rows are sorted by is hidden from who asks: as they came, which tells nothing of it. */
const UNSORTED: Record<CatalogLevel, Order> = {
  PATIENT: { kind: 'patient-unsorted', columns: ['p.id'], casts: ['bigint'], descending: false, shape: ['integer'] },
  STUDY: { kind: 'study-unsorted', columns: ['s.id'], casts: ['bigint'], descending: true, shape: ['integer'] },
  SERIES: {
    kind: 'series-unsorted',
    columns: ['x.study', 'x.id'],
    casts: ['bigint', 'bigint'],
    descending: false,
    shape: ['integer', 'integer'],
  },
  IMAGE: {
    kind: 'image-unsorted',
    columns: ['i.series', 'i.sop_instance_uid'],
    casts: ['bigint', 'text'],
    descending: false,
    shape: ['integer', 'text'],
  },
};

const FROM: Record<CatalogLevel | 'PATIENTLESS', { from: string; base: string; aliases: Alias[] }> = {
  PATIENT: { from: 'patient p', base: 'p.studies > 0 AND p.grouped IS NULL', aliases: ['p'] },
  STUDY: { from: 'study s', base: `${shown('s')} AND s.grouped IS NULL`, aliases: ['s'] },
  SERIES: {
    from: 'series x JOIN study s ON s.id = x.study',
    base: `${shown('x')} AND x.grouped IS NULL`,
    aliases: ['s', 'x'],
  },
  // m: the series that the instance is in, x: the one that shows it
  IMAGE: {
    from: 'instance i JOIN series m ON m.id = i.series JOIN series x ON x.id = coalesce(m.grouped, m.id) JOIN study s ON s.id = x.study',
    base: 'i.is_answer',
    aliases: ['s', 'x', 'i'],
  },
  PATIENTLESS: { from: 'instance i', base: 'i.series IS NULL AND i.is_answer', aliases: ['i'] },
};

export interface SearchStatement {
  text: string;
  /** The same rows, all found before they are sorted: for matches that are rare in the order of the answer. */
  sorted: string;
  values: unknown[];
  order: Order;
  aliases: Alias[];
  /** Computed attributes in the row, in the order of columns c0, c1, … */
  computed: QueryAttribute[];
}

export interface StatementInput {
  plan: SearchPlan;
  principal: Principal;
  requestedIssuer?: string;
  sopClasses?: readonly string[];
  after?: readonly (string | number)[];
  limit: number;
  labelFilter: LabelFilter;
  /** What rules keep from who asks. */
  restrictions?: Restrictions | null;
  returns: readonly QueryAttribute[];
}

/** Conditions on entities below the level (relational queries): some entity fulfils all of them together. */
function belowCondition(input: StatementInput, below: Predicate[], sql: SqlBuilder): string | null {
  if (below.length === 0) return null;
  const { level } = input.plan;
  const conditions = below.map((one) => predicateCondition(one, aliasOf(attributeOf(one), 'IMAGE', false), sql));
  const aliases = new Set(below.map((one) => aliasOf(attributeOf(one), 'IMAGE', false)));
  const parts: string[] = [];
  if (level === 'PATIENT') {
    parts.push('s.person = p.person', 's.grouped IS NULL', shown('s'));
    const labels = input.labelFilter(input.principal, 's', sql);
    if (labels !== null) parts.push(labels);
  }
  if (input.restrictions) parts.push(...restrictedMatching(input.restrictions, predicateKeys(below), 's', sql));
  if (level === 'PATIENT' || level === 'STUDY') parts.push('x.study = s.id', 'x.grouped IS NULL', shown('x'));
  if (aliases.has('i')) parts.push('coalesce(m.grouped, m.id) = x.id', 'i.series = m.id', 'i.is_answer');
  const tables = [
    ...(level === 'PATIENT' ? ['study s'] : []),
    ...(level === 'PATIENT' || level === 'STUDY' ? ['series x'] : []),
    ...(aliases.has('i') ? ['series m', 'instance i'] : []),
  ];
  return `EXISTS (SELECT 1 FROM ${tables.join(', ')} WHERE ${[...parts, ...conditions].join(' AND ')})`;
}

function conditionsOf(input: StatementInput, sql: SqlBuilder): string[] {
  const { plan } = input;
  const patientless = plan.model === 'patientless';
  const isBelow = (one: Predicate): boolean =>
    !patientless && levelRank(attributeOf(one).level) > levelRank(plan.level);
  // whose it is, is asked of the persons, not of the row: a person's other ids find it, too
  const ofPerson = (one: Predicate): boolean =>
    !patientless && (attributeOf(one).key === PATIENT_ID || attributeOf(one).key === ISSUER_OF_PATIENT_ID);
  const own = plan.predicates.filter((one) => !isBelow(one) && !ofPerson(one));
  const conditions = own.map((one) => predicateCondition(one, aliasOf(attributeOf(one), plan.level, patientless), sql));
  const below = belowCondition(input, plan.predicates.filter(isBelow), sql);
  if (below !== null) conditions.push(below);
  if (input.restrictions && !patientless) {
    const keys = predicateKeys(plan.predicates.filter((one) => !isBelow(one)));
    conditions.push(...restrictedMatching(input.restrictions, keys, plan.level === 'PATIENT' ? 'p' : 's', sql));
  }
  const persons = plan.predicates.filter(ofPerson);
  if (persons.length > 0)
    conditions.push(
      personCondition(
        persons,
        input.principal,
        input.requestedIssuer,
        plan.level === 'PATIENT' ? 'p.person' : 's.person',
        sql,
      ),
    );
  if (patientless && input.sopClasses !== undefined)
    conditions.push(`i.sop_class_uid = ANY(${sql.param([...input.sopClasses], 'text[]')})`);
  return conditions;
}

function keysetCondition(order: Order, after: readonly (string | number)[], sql: SqlBuilder): string {
  const bounds = after.map((part, i) => sql.param(part, order.casts[i]));
  return `(${order.columns.join(', ')}) ${order.descending ? '<' : '>'} (${bounds.join(', ')})`;
}

/** Whose the row is, for choosing the PatientID to show. */
function identityColumns(alias: 'p' | 's'): string[] {
  const linked = alias === 'p' ? 'p.is_group' : 's.linked';
  return [
    `${alias}.issuer AS issuer`,
    `${alias}.patient_id AS patient_id`,
    `${alias}.person AS person`,
    `${linked} AS linked`,
  ];
}

/** The statement of one page. All values are parameters; all names come from our own tables. */
export function searchStatement(input: StatementInput): SearchStatement {
  const { plan } = input;
  const shape = plan.model === 'patientless' ? 'PATIENTLESS' : plan.level;
  const restrictions = shape === 'PATIENTLESS' ? null : input.restrictions;
  const unsorted = restrictions && hidesOrder(restrictions, plan.level);
  const order = unsorted ? UNSORTED[plan.level] : ORDERS[shape];
  const [source, sql] = [FROM[shape], new SqlBuilder()];
  const conditions = [source.base, ...conditionsOf(input, sql)];
  for (const alias of source.aliases) {
    const labels = input.labelFilter(input.principal, alias, sql);
    if (labels !== null) conditions.push(labels);
  }
  if (input.after !== undefined) conditions.push(keysetCondition(order, input.after, sql));
  const computed = input.returns.filter((attribute) => attribute.computed);
  const aliases = computed.map((attribute) => aliasOf(attribute, plan.level, shape === 'PATIENTLESS'));
  const needsPatient =
    shape !== 'PATIENT' &&
    [
      ...aliases,
      ...plan.predicates.map((one) => aliasOf(attributeOf(one), plan.level, shape === 'PATIENTLESS')),
    ].includes('p');
  const columns = [
    ...order.columns.map((column, i) => `${column}::text AS k${i}`),
    ...source.aliases.map((alias) => `${alias}.attributes AS kept_${alias}`),
    ...computed.map((attribute, i) => `${computedColumn(attribute.key, aliases[i] as Alias) ?? 'NULL'} AS c${i}`),
    ...(shape === 'PATIENTLESS' ? [] : identityColumns(shape === 'PATIENT' ? 'p' : 's')),
    ...(restrictions ? [labelsColumn(shape === 'PATIENT' ? 'p' : 's')] : []),
  ];
  const body = `SELECT ${columns.join(', ')} FROM ${source.from}${needsPatient ? ' JOIN patient p ON p.person = s.person AND p.grouped IS NULL' : ''}
    WHERE ${conditions.join(' AND ')}`;
  const limit = sql.param(input.limit, 'int');
  const direction = order.descending ? 'DESC' : 'ASC';
  const orderBy = (of: (column: string, i: number) => string): string =>
    `${body}
    ORDER BY ${order.columns.map((column, i) => `${of(column, i)} ${direction}`).join(', ')} LIMIT ${limit}`;
  return {
    text: orderBy((column) => column),
    // no index has these expressions: the planner finds first and sorts then
    sorted: orderBy((column, i) => (order.shape[i] === 'text' ? `(${column} || '')` : `(${column} + 0)`)),
    values: sql.values,
    order,
    aliases: source.aliases,
    computed,
  };
}
