import { useQuery } from '@tanstack/vue-query';
import type { Ref } from 'vue';
import { answer, api, type Schemas } from '@/api/client';

export type Intercept = Schemas['Page_InterceptView']['items'][number];

export interface InterceptFilter {
  reason?: string;
  reference?: string;
  binding?: number;
  client_ip?: string;
  since?: string;
  before?: number;
  limit?: number;
}

export const PAGE_ROWS = 50;

/** How often a page that follows the newest rows asks anew. */
export const FOLLOW_MS = 3_000;

export const useIntercepts = (filter: Ref<InterceptFilter>, isFollowing?: Ref<boolean>) =>
  useQuery({
    queryKey: ['intercepts', filter],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/logs', { params: { query: filter.value }, signal })),
    placeholderData: (previous) => previous,
    refetchInterval: () => (isFollowing?.value ? FOLLOW_MS : false),
  });
