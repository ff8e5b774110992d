import { useMutation } from '@tanstack/vue-query';
import { answer, api, type Schemas } from '@/api/client';
import { useRenewBindings, type BindingFilter } from './queries';

export const BULK_ACTIONS = ['ban', 'unban', 'label', 'unlabel', 'unbind'] as const satisfies Schemas['BulkAction'][];
export type BulkAction = (typeof BULK_ACTIONS)[number];
export type BulkDone = Schemas['BulkDone'];

/** Those with these ids, or those that the filter lets through. */
export type BulkTarget = { ids: number[] } | { filter: BindingFilter };

export interface BulkChange {
  target: BulkTarget;
  action: BulkAction;
  reason?: string;
  expires_at?: string | null;
  label?: string;
  /** How many the trial said: where it would be another number by now, nothing is changed. */
  expected?: number;
}

const send = ({ target, ...change }: BulkChange, dry_run: boolean): Promise<BulkDone> =>
  answer(api.POST('/admin/api/bindings/bulk', { body: { ...target, ...change, dry_run } }));

/** What a change of many would do. */
export const useBulkTrial = () => useMutation({ mutationFn: (change: BulkChange) => send(change, true) });

/** The change itself. */
export function useBulkChange() {
  const renew = useRenewBindings();
  return useMutation({ mutationFn: (change: BulkChange) => send(change, false), onSettled: () => renew() });
}
