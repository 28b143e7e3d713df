import * as http from 'node:http';
import * as https from 'node:https';

/** Statuses on which the client throws without reading the body: it must be read away, or the connection is lost. */
const UNREAD = new Set([408, 429, 499, 500, 502, 503, 504, 520]);

type Requester = typeof http.request;

/** The shape of the client's `transport`: Node's http module with time limits. */
export interface Transport {
  request(options: http.RequestOptions, answered: (response: http.IncomingMessage) => void): http.ClientRequest;
}

/**
 * Requests end with ETIMEDOUT when nothing moved for idleMs: no connection, no answer, no byte. A response whose reader
 * is slow is not ended: then it is we who do not take what is there.
 */
export function makeTransport(secure: boolean, idleMs: number): { transport: Transport; agent: http.Agent } {
  const agent = secure
    ? new https.Agent({ keepAlive: true, maxSockets: 64 })
    : new http.Agent({ keepAlive: true, maxSockets: 64 });
  const send: Requester = secure ? https.request : http.request;
  const transport: Transport = {
    request(options, answered) {
      let response: http.IncomingMessage | undefined;
      const request = send({ ...options, agent, timeout: idleMs }, (incoming) => {
        response = incoming;
        // Errors of a response nobody reads any more must not end the process.
        incoming.on('error', () => undefined);
        if (UNREAD.has(incoming.statusCode ?? 0)) incoming.resume();
        answered(incoming);
      });
      request.on('timeout', () => {
        if (response && response.readableLength > 0) {
          request.setTimeout(idleMs);
          return;
        }
        request.destroy(Object.assign(new Error('the object store did not answer in time'), { code: 'ETIMEDOUT' }));
      });
      return request;
    },
  };
  return { transport, agent };
}
