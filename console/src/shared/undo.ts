import { ElMessage } from 'element-plus/es/components/message/index.mjs';
import { h } from 'vue';

/** For so long what was done can be taken back. */
const UNDO_MS = 10_000;

/** Says that something was done and, where it can be taken back, offers that. */
export function said(text: string, undo?: { label: string; run: () => unknown }): void {
  const message = ElMessage({
    type: 'success',
    duration: undo ? UNDO_MS : 3_000,
    showClose: undo !== undefined,
    message: h('span', { class: 'said' }, [
      text,
      undo && h('button', { class: 'said-undo', onClick: () => (message.close(), undo.run()) }, undo.label),
    ]),
  });
}

/** Says that something could not be taken back. */
export function notDone(text: string): void {
  ElMessage({ type: 'error', message: text, showClose: true });
}
