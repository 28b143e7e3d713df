/** One campaign: a long test by seeded chance against the running system. */
export interface Campaign {
  /** `npm run campaign -- <name>` */
  name: string;
  summary: string;
  /** Shown by --help after the name: the options. */
  help: string;
  /**
   * Runs it. Prints what it saw through `note` as it goes on.
   * @returns checks that held and checks that did not; the process exits with 1 when any did not
   */
  run(args: string[], note: (line: string) => void): Promise<CampaignResult>;
}

export interface CampaignResult {
  passed: number;
  /** One line for each check that did not hold, with the seed that shows it again. */
  failures: string[];
}
