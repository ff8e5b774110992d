import { useMutation, useQuery, useQueryClient } from '@tanstack/vue-query';
import type { Ref } from 'vue';
import { answer, api, type Schemas } from '@/api/client';

export type Binding = Schemas['BindingView'];

export interface BindingFilter {
  status?: string;
  hint?: string;
  address?: string;
  before?: number;
}

const PAGE_ROWS = 50;

export const useBindings = (filter: Ref<BindingFilter>) =>
  useQuery({
    queryKey: ['bindings', filter],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/bindings', { params: { query: { ...filter.value, limit: PAGE_ROWS } }, signal })),
    placeholderData: (previous) => previous,
  });

export const useBinding = (id: Ref<number>) =>
  useQuery({
    queryKey: ['binding', id],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/bindings/{id}', { params: { path: { id: id.value } }, signal })),
  });

export type BindingChange =
  | { kind: 'ban'; id: number; reason: string }
  | { kind: 'unban' | 'unbind'; id: number }
  | { kind: 'networks'; id: number; networks: string[] };

function send(change: BindingChange): Promise<Binding> {
  const { id } = change;
  switch (change.kind) {
    case 'ban':
      return answer(api.POST('/admin/api/bindings/ban', { body: { id, reason: change.reason || null } }));
    case 'unban':
      return answer(api.POST('/admin/api/bindings/unban', { body: { id } }));
    case 'unbind':
      return answer(api.POST('/admin/api/bindings/unbind', { body: { id } }));
    case 'networks':
      return answer(api.PUT('/admin/api/bindings/ip', { body: { id, bound_ips: change.networks } }));
  }
}

/** One change of one binding; lists and figures are asked anew after it. */
export function useChangeBinding() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: send,
    onSuccess: () => {
      for (const queryKey of [['bindings'], ['binding'], ['dashboard']]) void queries.invalidateQueries({ queryKey });
    },
  });
}
