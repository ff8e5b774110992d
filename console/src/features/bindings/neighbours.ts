import { useQuery } from '@tanstack/vue-query';
import type { Ref } from 'vue';
import { answer, api } from '@/api/client';
import { networksOverlap } from '@/shared/network';

/** Of so many networks the neighbours are looked up while they are typed, and so many of each are named. */
export const LOOKED_UP_MAX = 5;
const NAMED_MAX = 8;

/** The other keys that may be used from a part of a network. */
export interface Neighbours {
  count: number;
  isExact: boolean;
  keys: { hint: string; id: number }[];
}

async function neighboursOf(network: string, own: { id: number; networks: string[] }, signal: AbortSignal): Promise<Neighbours> {
  const [counts, page] = await Promise.all([
    answer(api.GET('/admin/api/bindings/counts', { params: { query: { network } }, signal })),
    answer(api.GET('/admin/api/bindings', { params: { query: { network, limit: NAMED_MAX } }, signal })),
  ]);
  const isThere = own.networks.some((one) => networksOverlap(one, network));
  return { count: counts.total - (isThere ? 1 : 0), isExact: counts.is_exact, keys: page.items.filter((one) => one.id !== own.id).map((one) => ({ hint: one.hint, id: one.id })) };
}

/** By network: who else may be used there. */
export const useNeighbours = (own: { id: number; networks: string[] }, networks: Ref<string[]>) =>
  useQuery({
    queryKey: ['bindings', 'neighbours', own.id, networks],
    queryFn: async ({ signal }) => {
      const found = await Promise.all(networks.value.map(async (network) => [network, await neighboursOf(network, own, signal)] as const));
      return new Map(found);
    },
    placeholderData: (previous) => previous,
  });
