// Erasing a call for good: what it means, and a second step before it happens.
import { useState } from "react";
import { useNavigate } from "react-router";
import { api, asProblem } from "@/api/client";
import { queryClient } from "@/api/queries";
import { Button, Checkbox, Dialog, Problem, toast } from "@/parts";
import { forget } from "../library/calls";

export function EraseDialog({ id, title, open, onOpenChange }: { id: string; title: string; open: boolean; onOpenChange: (open: boolean) => void }) {
  const navigate = useNavigate();
  const [sure, setSure] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const change = (next: boolean) => {
    setSure(false);
    setProblem(null);
    onOpenChange(next);
  };
  const erase = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await api.DELETE("/api/calls/{call_id}", { params: { path: { call_id: id } } });
      forget(id);
      change(false);
      await navigate("/calls", { replace: true });
      queryClient.removeQueries({ queryKey: ["calls", "one", id] });
      toast.success("Call erased", { detail: "It is gone everywhere, and it will not come back." });
    } catch (error) {
      const found = asProblem(error);
      setProblem(found.status === 403 ? "Only an owner of the workspace, support, or the person whose call it is may erase it. Ask one of them." : found.sentence);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      open={open}
      onOpenChange={change}
      title="Erase this call?"
      lead={<>Once erased, “{title}” cannot be brought back.</>}
      footer={
        <>
          <Button onClick={() => change(false)}>Keep it</Button>
          <Button kind="danger" disabled={!sure} loading={busy} onClick={() => void erase()}>Erase for good</Button>
        </>
      }
    >
      <ul className="list-disc space-y-1.5 pl-5">
        <li>The call, its recording and every transcript are deleted here.</li>
        <li>No sync, retry or replay brings it back: callstream remembers only that it was erased.</li>
        <li>At the source it stays as it is. To delete it there, go to the source.</li>
      </ul>
      <Checkbox className="mt-4" label="I understand that this cannot be undone" checked={sure} onChange={(event) => setSure(event.target.checked)} />
      {problem && <div className="mt-3"><Problem sentence={problem} /></div>}
    </Dialog>
  );
}
