// The small page at "/": who is signed in, upload, latest imports, failed imports. No framework, no build.

const byId = (id) => document.getElementById(id);
const state = { csrf: null, busy: false };

class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || `The server answered ${status}.`);
    this.status = status;
    this.body = body || {};
  }
}

async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: {
        ...(body ? { "Content-Type": "application/json" } : {}),
        ...(state.csrf ? { "X-CSRF-Token": state.csrf } : {}),
      },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch {
    throw new Problem(0, { detail: "callstream cannot be reached. Is it running?" });
  }
  const text = await answer.text();
  let parsed = null;
  try {
    parsed = text ? JSON.parse(text) : null;
  } catch {
    parsed = null;
  }
  if (!answer.ok) throw new Problem(answer.status, parsed);
  return parsed;
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function say(text) {
  byId("said").textContent = text;
}

function trouble(error) {
  const note = byId("trouble");
  note.textContent = error ? error.message : "";
  note.hidden = !error;
}

const time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const when = (text) => (text ? time.format(new Date(text)) : "");

const KINDS = {
  completed: "good", imported: "good", updated: "good", accepted: "good", resolved: "good",
  partial: "warn", waiting: "warn", pending: "", in_progress: "", retrying: "", duplicate: "warn", parked: "warn",
  failed: "bad", refused: "bad", open: "bad", active: "good", paused: "warn", error: "bad", counting: "",
};
const WORDS = { in_progress: "importing", partial: "partly failed", open: "failed", completed: "done" };

function tag(status) {
  return element("span", { class: `tag ${KINDS[status] || ""}` }, WORDS[status] || status.replaceAll("_", " "));
}

function fill(id, items, show, emptyId) {
  // A list is only rebuilt when it changed, and the focus goes back to where it was.
  const list = byId(id);
  const text = JSON.stringify(items);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...items.map(show));
  if (focused) [...list.querySelectorAll("[data-key]")].find((each) => each.dataset.key === focused)?.focus();
  byId(emptyId).hidden = items.length > 0;
}

function counted(job) {
  const parts = [
    [job.imported_calls + job.updated_calls, "imported"], [job.skipped_calls, "skipped as duplicates"],
    [job.failed_calls, "failed"], [job.waiting_calls, "waiting"],
  ].filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return parts.join(" · ") || `${job.total_calls} ${job.total_calls === 1 ? "call" : "calls"}`;
}

function showJob(job) {
  const running = ["pending", "counting", "in_progress"].includes(job.status);
  return element("li", {},
    element("div", {}, element("strong", {}, job.job_type === "upload" ? "Upload" : `${job.source_app.replaceAll("_", " ")}: ${job.job_type}`), " ",
      element("span", { class: "soft small" }, when(job.created_at))),
    tag(job.status),
    element("div", { class: "wide soft small" }, counted(job)),
    running
      ? element("progress", {
          class: "wide", max: Math.max(job.total_calls, 1), value: job.processed_calls,
          "aria-label": `${job.processed_calls} of ${job.total_calls} calls`,
        })
      : null,
    job.last_error ? element("div", { class: "wide small" }, job.last_error) : null);
}

function act(failed, verb, button) {
  return async () => {
    button().disabled = true;
    try {
      await call("POST", `/api/failed-imports/${failed.id}/${verb}`);
      say(verb === "retry" ? "On its way again." : "Discarded.");
      trouble(null);
    } catch (error) {
      trouble(error);
    }
    await refresh();
  };
}

function showFailed(failed) {
  const title = failed.external_id || failed.source_app || "An event that could not be read";
  const name = title.length > 24 ? `${title.slice(0, 24)}…` : title;
  const buttons = {};
  const busy = failed.status === "retrying";
  buttons.retry = element("button", {
    "data-key": `retry-${failed.id}`, disabled: busy, "aria-label": `Retry ${name}`,
    onclick: act(failed, "retry", () => buttons.retry),
  }, busy ? "Retrying…" : "Retry");
  buttons.discard = element("button", {
    "data-key": `discard-${failed.id}`, class: "quiet", "aria-label": `Discard ${name}`,
    onclick: act(failed, "discard", () => buttons.discard),
  }, "Discard");
  return element("li", {},
    element("div", {}, element("strong", {}, failed.message)),
    tag(failed.status),
    element("div", { class: "soft small" },
      `${failed.source_app || "unknown source"} · ${name} · at ${failed.stage} · ${failed.attempts} ` +
      `${failed.attempts === 1 ? "try" : "tries"} · ${when(failed.last_seen_at)}` +
      (failed.next_retry_at ? ` · next try ${when(failed.next_retry_at)}` : "")),
    element("div", { class: "row" }, buttons.retry, buttons.discard));
}

function showCall(each) {
  const seconds = each.duration_seconds;
  const length = seconds ? `${Math.max(1, Math.round(seconds / 60))} min` : null;
  return element("li", {},
    element("a", { href: `/api/calls/${each.id}` }, each.title),
    element("span", { class: "tag" }, each.source_app),
    element("div", { class: "wide soft small" },
      [when(each.recording_start_time || each.imported_at), length].filter(Boolean).join(" · ")));
}

function showSource(source) {
  const button = element("button", {
    "data-key": `sync-${source.id}`, "aria-label": `Sync ${source.display_name}, ${source.account}, now`,
    disabled: source.state === "paused" || source.running_job_id !== null,
    onclick: async () => {
      button.disabled = true;
      try {
        await call("POST", `/api/sources/${source.id}/sync`);
        say("The sync has begun.");
        trouble(null);
      } catch (error) {
        trouble(error);
      }
      await refresh();
    },
  }, source.running_job_id ? "Syncing…" : "Sync now");
  return element("li", {},
    element("div", {}, element("strong", {}, source.display_name), " ",
      element("span", { class: "soft small" }, source.account)),
    tag(source.state),
    element("div", { class: "soft small" },
      `${source.calls_imported} ${source.calls_imported === 1 ? "call" : "calls"} imported · ` +
      (source.last_sync_at ? `last sync ${when(source.last_sync_at)}` : "not synced yet") +
      (source.waiting_calls ? ` · ${source.waiting_calls} not ready at the source` : "")),
    element("div", { class: "row" }, button),
    source.error_message ? element("div", { class: "wide small" }, source.error_message) : null);
}

async function refresh() {
  if (state.busy) return;
  state.busy = true;
  try {
    const [sources, imports, failed, calls] = await Promise.all([
      call("GET", "/api/sources?limit=50"), call("GET", "/api/imports?limit=8"), call("GET", "/api/failed-imports?limit=20"), call("GET", "/api/calls?limit=8"),
    ]);
    fill("sources", sources.items, showSource, "no-sources");
    fill("imports", imports.items, showJob, "no-imports");
    fill("failed", failed.items, showFailed, "no-failed");
    fill("calls", calls.items, showCall, "no-calls");
    byId("retry-all").hidden = failed.items.filter((each) => each.status !== "retrying").length < 2;
    if (state.lost) trouble(null);
    state.lost = false;
  } catch (error) {
    if (error.status === 401) location.reload();
    state.lost = true;
    trouble(error);
  } finally {
    state.busy = false;
  }
}

function send(file) {
  const bar = element("progress", { class: "wide", max: 100, value: 0, "aria-label": `Uploading ${file.name}` });
  const answer = element("span", { class: "tag" }, "uploading");
  const line = element("li", {}, element("div", {}, element("strong", {}, file.name)), answer, bar);
  byId("uploads").prepend(line);
  const form = new FormData();
  form.append("file", file);
  return new Promise((done) => {
    // XMLHttpRequest, because fetch does not say how much has been sent.
    const request = new XMLHttpRequest();
    request.open("POST", "/api/uploads");
    request.setRequestHeader("X-CSRF-Token", state.csrf);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = (event.loaded / event.total) * 100;
      if (event.loaded === event.total) answer.textContent = "checking";
    });
    const finish = (status, message) => {
      answer.replaceWith(tag(status));
      bar.replaceWith(element("div", { class: "wide small soft" }, message));
      say(`${file.name}: ${message}`);
      done();
    };
    request.addEventListener("load", () => {
      let body = {};
      try {
        body = JSON.parse(request.responseText);
      } catch {
        body = {};
      }
      const found = body.calls?.[0];
      if (request.status === 202 && found) finish(found.status, found.message || "It is being imported.");
      else finish("refused", found?.message || body.detail || `The server answered ${request.status}.`);
    });
    request.addEventListener("error", () => finish("failed", "The upload was broken off. Try again."));
    request.send(form);
  });
}

async function sendAll(files) {
  for (const file of files) {
    await send(file);
    refresh();
  }
}

function wire() {
  const input = byId("files");
  const drop = byId("drop");
  input.addEventListener("change", () => {
    sendAll([...input.files]);
    input.value = "";
  });
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    sendAll([...event.dataTransfer.files]);
  });
  byId("sign-out").addEventListener("click", async () => {
    await call("POST", "/api/session/sign-out").catch(() => null);
    location.reload();
  });
  byId("retry-all").addEventListener("click", async () => {
    try {
      const { retry_count: count } = await call("POST", "/api/failed-imports/retry", { dry_run: true });
      if (!confirm(`Retry ${count} failed ${count === 1 ? "import" : "imports"}?`)) return;
      await call("POST", "/api/failed-imports/retry", {});
      say(`${count} on their way again.`);
    } catch (error) {
      trouble(error);
    }
    refresh();
  });
}

async function start() {
  let session;
  try {
    session = await call("GET", "/api/session");
  } catch (error) {
    if (error.status !== 401) trouble(error);
    byId("welcome").hidden = error.status !== 401;
    return;
  }
  state.csrf = session.csrf_token;
  byId("who").textContent = `${session.name} · ${session.workspace_name}`;
  for (const id of ["who", "sign-out", "hub"]) byId(id).hidden = false;
  wire();
  await refresh();
  setInterval(() => {
    if (!document.hidden) refresh();
  }, 3000);
}

start();
