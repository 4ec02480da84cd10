// What somebody sees who is not signed in: how to get in, as a person and as a program.
import { RiLoginBoxLine } from "@remixicon/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, data } from "@/api/client";
import { cn } from "@/lib/cn";
import { Button } from "@/parts/Button";
import { Card } from "@/parts/Card";
import { CopyBox } from "@/parts/Values";

export function SignedOut() {
  const client = useQueryClient();
  const { data: ways, isPending, failureCount } = useQuery({ queryKey: ["sign-in"], staleTime: 5 * 60_000, queryFn: () => data(api.GET("/api/sign-in")) });
  const asking = isPending && failureCount === 0; // a moment: nothing is drawn that would move then
  const company = ways?.oidc ? (ways.name ?? "your company's account") : null;
  useEffect(() => {
    document.title = "Sign in · callstream";
  }, []);
  // Signed in in another window meanwhile? Then this page goes on by itself.
  useEffect(() => {
    const look = () => document.visibilityState === "visible" && void client.invalidateQueries({ queryKey: ["session"] });
    document.addEventListener("visibilitychange", look);
    window.addEventListener("focus", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      window.removeEventListener("focus", look);
    };
  }, [client]);
  return (
    <main id="content" aria-busy={asking || undefined} className={cn("mx-auto flex min-h-dvh max-w-xl flex-col justify-center px-4 py-10", asking && "invisible")}>
      <svg viewBox="0 0 32 32" className="mb-5 size-12" aria-hidden="true">
        <rect width="32" height="32" rx="8" className="fill-accent" />
        <path d="M8 13.5v5M13.3 9v14M18.7 11.5v9M24 14.5v3" className="stroke-on-accent" strokeWidth="2.4" strokeLinecap="round" />
      </svg>
      <h1 className="font-serif text-2xl font-semibold">Welcome to callstream</h1>
      <p className="mt-1 mb-6 text-soft">You are not signed in yet. {company ? "Here is how you get in." : "A sign-in link brings you in."}</p>
      {company && (
        <Card as="div" className="mb-4">
          <a
            href="/sign-in/oidc"
            className="target flex items-center justify-center gap-2 rounded-md bg-accent px-4 py-2 font-semibold text-on-accent shadow-low transition-colors hover:bg-accent-strong"
          >
            <RiLoginBoxLine size={18} />Sign in with {company}
          </a>
        </Card>
      )}
      <Card as="div">
        <h2 className="mb-1 font-semibold">{company ? "With a sign-in link instead" : "Do you work here with others?"}</h2>
        <p className="mb-4 text-soft">Ask an owner of your workspace for a link: Settings, People, “New sign-in link”. It works once, within the hour.</p>
        <h2 className="mb-1 font-semibold">Do you run callstream yourself?</h2>
        <p className="mb-2 text-soft">Open the link that it printed when it started. This prints a new one, on the machine where it runs:</p>
        <CopyBox text="callstream sign-in" what="the command" />
        <div className="mt-4 flex flex-wrap items-center gap-3">
          <Button onClick={() => void client.invalidateQueries({ queryKey: ["session"] })}>Go on</Button>
          <span className="text-sm text-soft">Already signed in in another window? Then this page can go on.</span>
        </div>
      </Card>
      <p className="mt-6 text-sm text-soft">
        Programs use a key: <code>callstream keys create --name my-script</code>. What they can call is described in the <a className="link" href="/docs">API reference</a>.
      </p>
    </main>
  );
}
