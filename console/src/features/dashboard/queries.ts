import { useQuery } from '@tanstack/vue-query';
import { answer, api } from '@/api/client';

/** How often the page asks anew. */
const REFRESH_MS = 10_000;

export const useDashboard = () =>
  useQuery({
    queryKey: ['dashboard'],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/dashboard', { signal })),
    refetchInterval: REFRESH_MS,
  });
