/** Why a call did not succeed, in the terms of the API's problems (RFC 9457). */
export interface FieldProblem {
  field: string;
  detail: string;
}

const URN = 'urn:sentinel:problem:';

/** A refused or failed call. `code` is stable; `detail` is the server's English text and is shown as text only. */
export class ApiProblem extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    readonly detail: string,
    readonly fields: FieldProblem[] = [],
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(detail || code);
    this.name = 'ApiProblem';
  }

  /** The server has no such route: it is older than the console, or was built without it. */
  get isNotOffered(): boolean {
    return this.status === 404 && this.code === 'not_found';
  }
}

/** The server could not be reached at all. */
export function unreachable(): ApiProblem {
  return new ApiProblem('unreachable', 0, '');
}

/** Reads a problem from an answer's body, whatever that is. */
export function problemOf(response: Response, body: unknown): ApiProblem {
  const seconds = Number(response.headers.get('retry-after'));
  const retryAfter = Number.isFinite(seconds) && seconds > 0 ? seconds : null;
  if (typeof body !== 'object' || body === null || !('type' in body) || !String(body.type).startsWith(URN)) {
    return new ApiProblem('unexpected', response.status, `HTTP ${response.status}`, [], retryAfter);
  }
  const problem = body as { type: string; detail?: string; field?: string | null; errors?: FieldProblem[] | null };
  const detail = problem.detail ?? '';
  const fields = problem.errors ?? (problem.field ? [{ field: problem.field, detail }] : []);
  return new ApiProblem(problem.type.slice(URN.length), response.status, detail, fields, retryAfter);
}
