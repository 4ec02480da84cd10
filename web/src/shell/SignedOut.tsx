// What somebody sees who is not signed in: how to get in, as a person and as a program.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { Button } from "@/parts/Button";
import { Card } from "@/parts/Card";
import { CopyBox } from "@/parts/Values";

export function SignedOut() {
  const client = useQueryClient();
  useEffect(() => {
    document.title = "Sign in · callstream";
  }, []);
  return (
    <main id="content" className="mx-auto flex min-h-dvh max-w-xl flex-col justify-center px-4 py-10">
      <h1 className="font-serif text-2xl font-semibold">You are not signed in</h1>
      <p className="mt-2 mb-6 text-soft">
        Open the sign-in link that callstream printed when it started. It works once. This command prints a new one, on the machine where callstream runs:
      </p>
      <Card as="div">
        <CopyBox text="callstream sign-in" what="the command" />
        <p className="mt-3 text-sm text-soft">Have you signed in in another window? Then this page can go on.</p>
        <Button className="mt-2" onClick={() => void client.invalidateQueries({ queryKey: ["session"] })}>Go on</Button>
      </Card>
      <p className="mt-6 text-sm text-soft">
        Programs use a key: <code>callstream keys create --name my-script</code>. What they can call is described in the{" "}
        <a className="link" href="/docs">API reference</a>.
      </p>
    </main>
  );
}
