/** From what archives answered to what is shown of it: pure, so that it is the same whatever the order of arrival. */
import {
  CLAIMED,
  claimedCount,
  claimedList,
  withoutClaims,
  type KeptAttributes,
  type LocalIdentity,
} from '@archipelago/catalog-model';
import type { SeriesSaid, StudySaid } from '../entities';
import { keyBelow, keyOfPatient, sortByKey } from './batch';
import type { InstanceAnswer, SeriesAnswer, SourceAnswers, StudyAnswer } from './derive-read';
import { fillIn } from './layers';

export interface PlannedPatient {
  identity: LocalIdentity;
}
export interface PlannedStudy {
  uid: string;
  /** Key of the patient. */
  above: string;
  attributes: KeptAttributes;
  said: StudySaid;
}
export interface PlannedSeries {
  uid: string;
  /** Key of the study. */
  above: string;
  attributes: KeptAttributes;
  said: SeriesSaid;
}
export interface PlannedInstance {
  uid: string;
  series: string;
  sopClassUid: string;
  transferSyntaxUid: string;
  attributes: KeptAttributes;
  source: number;
  asOf: Date;
}

/** By key, in key order. */
export interface Plan {
  patients: Map<string, PlannedPatient>;
  studies: Map<string, PlannedStudy>;
  series: Map<string, PlannedSeries>;
  /** By UID. */
  instances: Map<string, PlannedInstance>;
  /** What each source says that a study holds, by study UID: for telling archives that differ. */
  contents: Map<string, StudyContent[]>;
}

export interface StudyContent {
  source: number;
  series?: number;
  instances?: number;
  /** UIDs of the instances, where all that the source claims are known. */
  uids: ReadonlySet<string> | null;
}

export interface PlanRules {
  /** Rank of a source by the order of archives: the lowest first. */
  rank(source: number): number;
  identity(patientId: string, issuer: string, studyInstanceUid: string): LocalIdentity;
}

const DEPTH_RANK = { full: 0, image: 1, series: 2, study: 3 } as const;

interface Contribution {
  depth: keyof typeof DEPTH_RANK;
  source: number;
  attributes: KeptAttributes;
}

/** Deeper harvest first, then the order of archives (docs/adr/0019, winner rule). */
export function byWinner(rules: Pick<PlanRules, 'rank'>): (a: Contribution, b: Contribution) => number {
  return (a, b) => DEPTH_RANK[a.depth] - DEPTH_RANK[b.depth] || rules.rank(a.source) - rules.rank(b.source);
}

export function fillAll(contributions: readonly Contribution[]): KeptAttributes {
  return contributions.reduce<KeptAttributes>((all, one) => fillIn(all, withoutClaims(one.attributes)).merged, {});
}

interface StudyNode {
  uid: string;
  above: string;
  contributions: Contribution[];
  claims: StudyAnswer[];
}
interface SeriesNode {
  uid: string;
  above: string;
  contributions: Contribution[];
  /** Instances that each source has in it. */
  counts: Map<number, number>;
  claims: Map<number, number>;
}
interface Candidate extends Contribution {
  answer: InstanceAnswer;
  series: string;
}

class Planner {
  private readonly patients = new Map<string, PlannedPatient>();
  private readonly studies = new Map<string, StudyNode>();
  private readonly series = new Map<string, SeriesNode>();
  private readonly candidates = new Map<string, Candidate[]>();
  /** Key of the patient that a source's study answer names, by study UID and source. */
  private readonly homes = new Map<string, string>();
  /** Sources that were asked deeper than the study, by study UID. */
  private readonly deeper = new Set<string>();

  constructor(
    private readonly answers: SourceAnswers,
    private readonly rules: PlanRules,
  ) {}

  plan(): Plan {
    const { studies, series, instances, emptied } = this.answers;
    for (const { source, study } of emptied) this.deeper.add(`${source} ${study}`);
    for (const answer of studies) if (answer.depth === 'study') this.addStudy(answer);
    for (const answer of instances) this.addInstance(answer);
    for (const answer of series) if (answer.depth === 'series') this.addSeries(answer);
    for (const answer of studies) if (answer.depth === 'full') this.addFullStudy(answer);
    for (const answer of series) if (answer.depth === 'full') this.addFullSeries(answer);
    return {
      patients: sortByKey(this.patients),
      studies: sortByKey(new Map([...this.studies].map(([key, node]) => [key, this.plannedStudy(node)]))),
      series: sortByKey(new Map([...this.series].map(([key, node]) => [key, this.plannedSeries(node)]))),
      instances: this.plannedInstances(),
      contents: this.contents(),
    };
  }

  private patientKey(patientId: string, issuer: string, studyUid: string): string {
    const identity = this.rules.identity(patientId, issuer, studyUid);
    const key = keyOfPatient(identity);
    this.patients.set(key, { identity });
    return key;
  }

  private studyNode(uid: string, patient: string): StudyNode {
    const key = keyBelow(uid, patient);
    const node = this.studies.get(key) ?? { uid, above: patient, contributions: [], claims: [] };
    this.studies.set(key, node);
    return node;
  }

  private seriesNode(uid: string, study: StudyNode): SeriesNode {
    const above = keyBelow(study.uid, study.above);
    const key = keyBelow(uid, above);
    const node = this.series.get(key) ?? { uid, above, contributions: [], counts: new Map(), claims: new Map() };
    this.series.set(key, node);
    return node;
  }

  private addStudy(answer: StudyAnswer): void {
    const patient = this.patientKey(answer.patientId, answer.issuer, answer.uid);
    this.homes.set(`${answer.source} ${answer.uid}`, patient);
    const node = this.studyNode(answer.uid, patient);
    node.contributions.push({ depth: 'study', source: answer.source, attributes: answer.attributes });
    node.claims.push(answer);
  }

  /** A header names its patient; an answer's is the one of the source's study, and until that is known it waits. */
  private addInstance(answer: InstanceAnswer): void {
    const home = this.homes.get(`${answer.source} ${answer.study}`);
    const patient = answer.depth === 'full' ? this.patientKey(answer.patientId, answer.issuer, answer.study) : home;
    if (patient === undefined) return;
    const series = this.seriesNode(answer.series, this.studyNode(answer.study, patient));
    this.deeper.add(`${answer.source} ${answer.study}`);
    const key = keyBelow(series.uid, series.above);
    const known = this.candidates.get(answer.uid) ?? [];
    // the same source, asked at two depths: one instance
    if (!known.some((one) => one.source === answer.source && one.series === key))
      series.counts.set(answer.source, (series.counts.get(answer.source) ?? 0) + 1);
    const { depth, source, attributes } = answer;
    known.push({ depth, source, attributes, answer, series: key });
    this.candidates.set(answer.uid, known);
  }

  private addSeries(answer: SeriesAnswer): void {
    const patient = this.homes.get(`${answer.source} ${answer.study}`);
    if (patient === undefined) return;
    this.deeper.add(`${answer.source} ${answer.study}`);
    const node = this.seriesNode(answer.uid, this.studyNode(answer.study, patient));
    node.contributions.push({ depth: 'series', source: answer.source, attributes: answer.attributes });
    const claimed = claimedCount(answer.attributes, CLAIMED.seriesInstances);
    if (claimed !== undefined) node.claims.set(answer.source, claimed);
  }

  private addFullStudy(answer: StudyAnswer): void {
    const identity = this.rules.identity(answer.patientId, answer.issuer, answer.uid);
    const node = this.studies.get(keyBelow(answer.uid, keyOfPatient(identity)));
    node?.contributions.push({ depth: 'full', source: answer.source, attributes: answer.attributes });
  }

  private addFullSeries(answer: SeriesAnswer): void {
    const identity = this.rules.identity(answer.patientId, answer.issuer, answer.study);
    const node = this.series.get(keyBelow(answer.uid, keyBelow(answer.study, keyOfPatient(identity))));
    node?.contributions.push({ depth: 'full', source: answer.source, attributes: answer.attributes });
  }

  private plannedStudy(node: StudyNode): PlannedStudy {
    const { uid, above } = node;
    const attributes = { ...fillAll(node.contributions.sort(byWinner(this.rules))), ...uidElement('0020000D', uid) };
    return { uid, above, attributes, said: this.studySaid(node) };
  }

  private studySaid(node: StudyNode): StudySaid {
    const claims = node.claims
      .filter((claim) => !this.deeper.has(`${claim.source} ${claim.uid}`))
      .map((claim) => claim.attributes);
    const series = largest(claims.map((kept) => claimedCount(kept, CLAIMED.studySeries)));
    const instances = largest(claims.map((kept) => claimedCount(kept, CLAIMED.studyInstances)));
    const modalities = union(claims.map((kept) => claimedList(kept, CLAIMED.modalities)));
    const classes = union(claims.map((kept) => claimedList(kept, CLAIMED.classes)));
    return {
      ...(series === undefined ? {} : { series }),
      ...(instances === undefined ? {} : { instances }),
      ...(modalities.length > 0 ? { modalities } : {}),
      ...(classes.length > 0 ? { classes } : {}),
    };
  }

  private plannedSeries(node: SeriesNode): PlannedSeries {
    const { uid, above } = node;
    const attributes = { ...fillAll(node.contributions.sort(byWinner(this.rules))), ...uidElement('0020000E', uid) };
    const sources = new Set([...node.counts.keys(), ...node.claims.keys()]);
    const instances = largest([...sources].map((source) => node.counts.get(source) ?? node.claims.get(source)));
    return { uid, above, attributes, said: instances === undefined ? {} : { instances } };
  }

  private plannedInstances(): Map<string, PlannedInstance> {
    const planned = new Map<string, PlannedInstance>();
    for (const [uid, candidates] of this.candidates) {
      const sorted = candidates.sort(
        (a, b) => byWinner(this.rules)(a, b) || (a.answer.study < b.answer.study ? -1 : 1),
      );
      const winner = sorted[0] as Candidate;
      const syntaxes = sorted.map((one) => claimedList(one.attributes, CLAIMED.syntax)[0]);
      const classes = sorted.map((one) => one.answer.sopClassUid);
      planned.set(uid, {
        uid,
        series: winner.series,
        sopClassUid: classes.find((one) => one !== '') ?? '',
        transferSyntaxUid: syntaxes.find((one) => one !== undefined) ?? '',
        attributes: fillAll(sorted),
        source: winner.source,
        asOf: winner.answer.asOf,
      });
    }
    return planned;
  }

  private contents(): Map<string, StudyContent[]> {
    const uids = new Map<string, Set<string>>();
    const series = new Map<string, Set<string>>();
    for (const answer of this.answers.instances) {
      add(uids, `${answer.source} ${answer.study}`, answer.uid);
      add(series, `${answer.source} ${answer.study}`, answer.series);
    }
    const contents = new Map<string, StudyContent[]>();
    for (const { depth, source, uid, attributes } of this.answers.studies) {
      if (depth !== 'study') continue;
      const instances = claimedCount(attributes, CLAIMED.studyInstances);
      const known = uids.get(`${source} ${uid}`) ?? null;
      const content: StudyContent = {
        source,
        series: claimedCount(attributes, CLAIMED.studySeries) ?? series.get(`${source} ${uid}`)?.size,
        instances: instances ?? known?.size,
        uids: known !== null && known.size === instances ? known : null,
      };
      contents.set(uid, [...(contents.get(uid) ?? []), content]);
    }
    return contents;
  }
}

function uidElement(key: string, uid: string): KeptAttributes {
  return { [key]: { vr: 'UI', Value: [uid] } };
}

function add(into: Map<string, Set<string>>, key: string, value: string): void {
  const set = into.get(key) ?? new Set();
  into.set(key, set.add(value));
}

function largest(values: readonly (number | undefined)[]): number | undefined {
  const given = values.filter((value): value is number => value !== undefined);
  return given.length === 0 ? undefined : Math.max(...given);
}

function union(lists: readonly string[][]): string[] {
  return [...new Set(lists.flat())].sort();
}

/** What is shown of these answers. */
export function planAnswers(answers: SourceAnswers, rules: PlanRules): Plan {
  return new Planner(answers, rules).plan();
}
