// Connecting by signing in at the platform: which rights it asks for, then there and back (api/routes/oauth.py). Where this
// installation is not registered with the platform, what its operator must do.
import { RiExternalLinkLine, RiShieldCheckLine } from "@remixicon/react";
import { useState, type FormEvent, type ReactNode } from "react";
import { Link } from "react-router";
import { asProblem, raw } from "@/api/client";
import { Button, CopyBox, Facts, Note, Problem } from "@/parts";
import { Fields, type Values } from "./Fields";
import { Instructions } from "./FormWay";
import type { WayProps } from "./Wizard";
import { formErrors, missing, registration } from "./words";

export function SignInWay(props: WayProps) {
  return props.way.available ? <Ready {...props} /> : <NotRegistered {...props} />;
}

/** What only matters to whoever registered callstream with the platform; people who sign in need not read it. */
const FOR_OPERATORS = /^The app\b/;

function Ready({ platform, way, again }: WayProps) {
  const [values, setValues] = useState<Values>({});
  const [errors, setErrors] = useState<{ fields: Record<string, string>; general: string | null }>({ fields: {}, general: null });
  const [busy, setBusy] = useState(false);
  const name = platform.display_name;
  const hint = FOR_OPERATORS.test(way.instructions) ? "" : way.instructions;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const lacking = missing(way.fields, values);
    if (Object.keys(lacking).length) return setErrors({ fields: lacking, general: null });
    setBusy(true);
    setErrors({ fields: {}, general: null });
    const query = new URLSearchParams(way.fields.map((each) => [each.name, (values[each.name] ?? each.default).trim()] as [string, string]).filter(([, value]) => value));
    if (again) query.set("source_id", again.id);
    try {
      const { authorize_url } = await raw<{ authorize_url: string }>("GET", `/api/oauth/${encodeURIComponent(platform.platform)}/start?${query}`);
      window.location.assign(authorize_url);
    } catch (error) {
      setErrors(formErrors(asProblem(error), way.fields, name));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} noValidate className="grid gap-4">
      <p>
        {name} opens and asks whether callstream may read your calls. You do not give callstream your password, you can take the right back at {name} at any time, and it
        brings you back here by itself.
      </p>
      {(way.scopes.length > 0 || hint) && (
        <div className="rounded-md bg-sunken px-4 py-3">
          {way.scopes.length > 0 && (
            <>
              <p className="flex items-center gap-2 font-medium"><RiShieldCheckLine size={18} className="text-accent" />The rights it will ask for</p>
              <ul className="mt-1.5 grid gap-0.5 text-sm text-soft">{way.scopes.map((each) => <li key={each}><code className="break-all">{each}</code></li>)}</ul>
            </>
          )}
          {hint && <p className={way.scopes.length ? "mt-2 text-sm" : "text-sm"}><Instructions text={hint} /></p>}
        </div>
      )}
      <Fields fields={way.fields} values={values} errors={errors.fields} onChange={setValues} />
      <div aria-live="polite">{errors.general && <Problem sentence={errors.general} />}</div>
      <div className="flex flex-wrap items-center gap-3">
        <Button type="submit" kind="primary" icon={RiExternalLinkLine} loading={busy}>{again ? `Sign in at ${name} again` : `Sign in at ${name}`}</Button>
        <span className="text-sm text-soft">The sign-in has ten minutes.</span>
      </div>
    </form>
  );
}

function NotRegistered({ platform, way }: WayProps) {
  const name = platform.display_name;
  const others = platform.auths.some((each) => each.kind !== "oauth");
  return (
    <div className="grid grid-cols-1 gap-4">
      <Note tone="warn">
        Signing in at {name} is not set up in this callstream yet. {others ? "Connect with one of the other ways above, or have it set up:" : "Whoever runs it can do that in a few minutes:"}
      </Note>
      <ol className="grid grid-cols-1 gap-4">
        <Step at={1} title={`Register an app at ${name}`}>
          <p className="mb-2 text-sm text-soft"><Instructions text={way.instructions || "An app that signs people in (OAuth)."} /> Give it this address to come back to, letter for letter:</p>
          <CopyBox text={way.redirect_url ?? ""} what="the address to come back to" />
          {way.scopes.length > 0 && <Facts className="mt-3 text-sm" items={[["Rights", <code key="r" className="break-all">{way.scopes.join(" ")}</code>]]} />}
        </Step>
        <Step at={2} title="Give callstream the app's id and secret">
          <p className="mb-2 text-sm text-soft">As a setting of the machine it runs on, beside those of other platforms:</p>
          <CopyBox text={registration(platform.platform)} what="the setting" />
        </Step>
        <Step at={3} title="Start callstream again"><p className="text-sm text-soft">Then this page offers the sign-in.</p></Step>
      </ol>
      <p className="text-sm text-soft">
        No time for that? <Link className="link" to="/?upload=1">Upload files</Link> of {name} meanwhile.
      </p>
    </div>
  );
}

export function Step({ at, title, children }: { at: number; title: string; children: ReactNode }) {
  return (
    <li className="flex gap-3">
      <span aria-hidden="true" className="grid size-7 shrink-0 place-items-center rounded-full bg-accent-wash text-sm font-bold text-accent">{at}</span>
      <div className="min-w-0 flex-1"><p className="mb-1 leading-7 font-semibold">{title}</p>{children}</div>
    </li>
  );
}
