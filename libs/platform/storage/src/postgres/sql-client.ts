/** What a repository needs of a connection: `pg`'s clients and pools have it. */
export interface SqlClient {
  query<R extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: R[]; rowCount: number | null }>;
}
