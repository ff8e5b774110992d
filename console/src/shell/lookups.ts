import type { RouteLocationRaw } from 'vue-router';
import { REFERENCE } from '@/shared/reference';
import { networkFacts } from '@/shared/network';

export interface Lookup {
  kind: 'bindings_of_address' | 'intercepts_of_address' | 'explain_address' | 'reference' | 'hint';
  to: RouteLocationRaw;
  /** The permission without which there is nothing to see. */
  needs?: string;
}

/** Where what was typed may be looked up. */
export function lookupsFor(text: string): Lookup[] {
  if (text.length < 3) return [];
  const facts = networkFacts(text);
  if (facts && facts.addresses === 1n) {
    const address = text.split('/')[0] ?? text;
    return [
      { kind: 'bindings_of_address', to: { name: 'bindings', query: { address } } },
      { kind: 'intercepts_of_address', to: { name: 'intercepts', query: { client_ip: address } } },
      { kind: 'explain_address', to: { name: 'diagnostics', query: { tab: 'explain', address } }, needs: 'diagnostics.run' },
    ];
  }
  const hint: Lookup = { kind: 'hint', to: { name: 'bindings', query: { hint: text } } };
  return REFERENCE.test(text) ? [{ kind: 'reference', to: { name: 'intercepts', query: { reference: text } } }, hint] : [hint];
}
