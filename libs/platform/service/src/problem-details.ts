import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { Request, Response } from 'express';
import { throwError, type Observable } from 'rxjs';
import { classifyError } from './errors';
import { Logger } from './logging/logger';

/** RFC 9457. `code` is ours: the stable code of the error. */
export interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail?: string;
  code: string;
}

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

export function problem(status: number, code: string, detail?: string): ProblemDetails {
  return {
    type: 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
  };
}

/** Any error as a problem: transient 503, permanent 422, bug 500 without detail; Nest's HTTP errors keep their status. */
export function toProblem(error: unknown): ProblemDetails {
  if (error instanceof HttpException) return problem(error.getStatus(), 'http', error.message);
  const known = classifyError(error);
  if (known.kind === 'transient') return problem(503, known.code, known.message);
  if (known.kind === 'permanent') return problem(422, known.code, known.message);
  return problem(500, known.code);
}

/**
 * HTTP: a problem. Message handlers: the error as it was thrown, for the transport decides by its class whether to try
 * again (Nest's own filter would turn each into "Internal server error").
 */
@Catch()
export class ProblemDetailsFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): Observable<never> | undefined {
    if (host.getType() !== 'http') return throwError(() => error);
    this.answer(error, host);
    return undefined;
  }

  private answer(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<Request>();
    const response = http.getResponse<Response>();
    const details = toProblem(error);
    if (details.status >= 500)
      this.logger.error('request failed', { err: error, method: request.method, status: details.status });
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (details.status === 503) response.set('Retry-After', '5');
    response.status(details.status).type('application/problem+json').send(JSON.stringify(details));
  }
}
