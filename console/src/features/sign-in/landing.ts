/** Where to go after the sign-in: only ever within the console. */
export function landing(to: unknown): string {
  return typeof to === 'string' && /^\/(?![/\\])/.test(to) ? to : '/dashboard';
}
