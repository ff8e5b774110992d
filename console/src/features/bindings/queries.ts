import { useMutation, useQuery, useQueryClient } from '@tanstack/vue-query';
import type { Ref } from 'vue';
import { answer, api, type Schemas } from '@/api/client';

export type Binding = Schemas['BindingView'];
export type BindingHistory = Schemas['BindingHistory'];

/** Which bindings are meant, without an order or a place in it. */
export interface BindingFilter {
  status?: string;
  hint?: string;
  address?: string;
  network?: string;
  profile?: string;
  label?: string;
  note?: string;
  used_after?: string;
  used_before?: string;
}

export interface BindingPlace {
  sort?: string;
  /** Where the page begins: the one with the newest first, the other in the other orders. */
  before?: number;
  after?: string;
}

export const ORDERS = ['newest', 'oldest', 'last_used', 'most_used'] as const;
const PAGE_ROWS = 50;

export const useBindings = (filter: Ref<BindingFilter>, place: Ref<BindingPlace>) =>
  useQuery({
    queryKey: ['bindings', filter, place],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/bindings', { params: { query: { ...filter.value, ...place.value, limit: PAGE_ROWS } }, signal })),
    placeholderData: (previous) => previous,
  });

export const useBindingCounts = (filter: Ref<BindingFilter>) =>
  useQuery({
    queryKey: ['bindings', 'counts', filter],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/bindings/counts', { params: { query: filter.value }, signal })),
    placeholderData: (previous) => previous,
  });

export const useBinding = (id: Ref<number>) =>
  useQuery({
    queryKey: ['binding', id],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/bindings/{id}', { params: { path: { id: id.value } }, signal })),
  });

export const useBindingHistory = (id: Ref<number>) =>
  useQuery({
    queryKey: ['binding', id, 'history'],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/bindings/{id}/history', { params: { path: { id: id.value } }, signal })),
  });

export type BindingEdit =
  | { kind: 'ban'; reason: string; expires_at?: string | null }
  | { kind: 'unban' | 'unbind' }
  | { kind: 'networks'; networks: string[] }
  | { kind: 'remarks'; note: string; labels: string[] };

/** A change of the binding as it was seen: the server refuses it when somebody changed the binding since. */
export interface BindingChange {
  seen: Pick<Binding, 'id' | 'version'>;
  edit: BindingEdit;
}

function send({ seen: { id, version }, edit }: BindingChange): Promise<Binding> {
  const header = { 'If-Match': `"${version}"` };
  switch (edit.kind) {
    case 'ban':
      return answer(api.POST('/admin/api/bindings/ban', { params: { header }, body: { id, reason: edit.reason || null, expires_at: edit.expires_at ?? null } }));
    case 'unban':
      return answer(api.POST('/admin/api/bindings/unban', { params: { header }, body: { id } }));
    case 'unbind':
      return answer(api.POST('/admin/api/bindings/unbind', { params: { header }, body: { id } }));
    case 'networks':
      return answer(api.PUT('/admin/api/bindings/ip', { params: { header }, body: { id, bound_ips: edit.networks } }));
    case 'remarks':
      return answer(api.PATCH('/admin/api/bindings/{id}', { params: { header, path: { id } }, body: { note: edit.note, labels: edit.labels } }));
  }
}

/** Asks anew for all that bindings show up in; not for the one that is gone, which may still be on show. */
export function useRenewBindings(): (gone?: number) => void {
  const queries = useQueryClient();
  return (gone) => {
    for (const queryKey of [['bindings'], ['dashboard']]) void queries.invalidateQueries({ queryKey });
    void queries.invalidateQueries({ queryKey: ['binding'], predicate: ({ queryKey: [, id] }) => id !== gone });
  };
}

/** One change of one binding; lists and figures are asked anew after it. */
export function useChangeBinding() {
  const renew = useRenewBindings();
  return useMutation({ mutationFn: send, onSuccess: (_, { seen, edit }) => renew(edit.kind === 'unbind' ? seen.id : undefined) });
}

/** What the API takes for a fingerprint, in whichever case. */
export const FINGERPRINT = /^[0-9a-f]{64}$/i;

/** Binds a key before its first use. */
export function useCreateBinding() {
  const renew = useRenewBindings();
  return useMutation({ mutationFn: (body: Schemas['NewBinding']) => answer(api.POST('/admin/api/bindings', { body })), onSuccess: () => renew() });
}
