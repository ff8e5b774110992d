import { useMutation, useQuery, useQueryClient } from '@tanstack/vue-query';
import { answer, api, type Schemas } from '@/api/client';

export type Setting = Schemas['Setting'];

export const useSettings = () =>
  useQuery({ queryKey: ['settings'], queryFn: ({ signal }) => answer(api.GET('/admin/api/settings', { signal })), refetchOnWindowFocus: false });

export function useSaveSettings() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (change: { version: number; values: Record<string, string | null> }) => answer(api.PUT('/admin/api/settings', { body: change })),
    onSuccess: (now) => queries.setQueryData(['settings'], now),
  });
}
