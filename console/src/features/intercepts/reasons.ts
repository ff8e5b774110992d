/** Why a request is refused, in the API's words. */
export const REASONS = [
  'key_ip_mismatch',
  'key_banned',
  'client_ip_unresolvable',
  'credential_ambiguous',
  'key_missing',
  'claim_rate_limited',
  'binding_store_unavailable',
  'upstream_unreachable',
  'upstream_timeout',
] as const;
