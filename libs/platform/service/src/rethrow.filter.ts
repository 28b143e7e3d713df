import { Catch, type ExceptionFilter } from '@nestjs/common';
import { throwError, type Observable } from 'rxjs';

/**
 * Message handlers' errors reach the transport as they were thrown: it decides by their class whether to try again.
 * Nest's own filter would turn each into "Internal server error".
 */
@Catch()
export class RethrowFilter implements ExceptionFilter {
  catch(error: unknown): Observable<never> {
    return throwError(() => error);
  }
}
