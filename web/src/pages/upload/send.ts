// One file on its way to the API, with its progress (fetch cannot tell that).
import { ApiProblem, csrfToken, problemOf, type Shape } from "@/api/client";

export interface Details {
  title?: string;
  recordedAt?: string;
}
export interface Sending {
  done: Promise<Shape<"UploadAnswer">>;
  cancel: () => void;
}

const AWAY = "The connection was lost while this file was sent.";

/** Send `file` once under `key`: the same key again never makes a second call of it. */
export function send(file: File, key: string, details: Details, onProgress: (sent: number) => void): Sending {
  const request = new XMLHttpRequest();
  const done = new Promise<Shape<"UploadAnswer">>((resolve, reject) => {
    request.open("POST", "/api/uploads");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", key);
    const csrf = csrfToken();
    if (csrf) request.setRequestHeader("X-CSRF-Token", csrf);
    request.upload.onprogress = (event) => onProgress(event.lengthComputable ? Math.round((event.loaded / event.total) * file.size) : event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) {
        try {
          resolve(JSON.parse(request.responseText) as Shape<"UploadAnswer">);
          return;
        } catch {
          // Not ours: something in between answered.
        }
      }
      reject(problemOf(request.status, request.responseText));
    };
    request.onerror = () => reject(new ApiProblem(0, "no_connection", AWAY));
    request.onabort = () => reject(new ApiProblem(0, "cancelled", "Cancelled."));
    const form = new FormData();
    if (details.title) form.set("title", details.title);
    if (details.recordedAt) form.set("recorded_at", details.recordedAt);
    form.append("file", file, file.name);
    request.send(form);
  });
  return { done, cancel: () => request.abort() };
}
