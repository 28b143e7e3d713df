/** A DIMSE status (PS3.7 annex C) as four hex digits. */
export function statusHex(status: number): string {
  return status.toString(16).toUpperCase().padStart(4, '0');
}

/** For people: the status and what the peer said about it (Error Comment). */
export function statusText(status: number, comment?: string): string {
  return `status ${statusHex(status)}${comment ? `: ${comment}` : ''}`;
}
