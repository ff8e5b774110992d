import { useMutation, useQuery } from '@tanstack/vue-query';
import type { Ref } from 'vue';
import { answer, api, type Schemas } from '@/api/client';

export type AuditEvent = Schemas['Page_EventView']['items'][number];

export interface AuditFilter {
  actor?: string;
  action?: string;
  since?: string;
  before?: number;
}

const PAGE_ROWS = 50;

export const useAuditEvents = (filter: Ref<AuditFilter>) =>
  useQuery({
    queryKey: ['audit', filter],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/audit', { params: { query: { ...filter.value, limit: PAGE_ROWS } }, signal })),
    placeholderData: (previous) => previous,
  });

/** Reads the whole log on the server, so it is only done when asked for. */
export const useVerifyChain = () => useMutation({ mutationFn: () => answer(api.GET('/admin/api/audit/verify')) });
