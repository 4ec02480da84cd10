// What one may not do, said in a sentence instead of a refusal after the click.
import { RiLockLine } from "@remixicon/react";
import { Card, EmptyState, Note } from "@/parts";

/** In place of what owners and support may open. */
export function Gate() {
  return (
    <Card pad={false}>
      <EmptyState icon={RiLockLine} title="This is for owners and support">
        You are a member of this workspace. Ask an owner to change something here for you, or to give you the role that may.
      </EmptyState>
    </Card>
  );
}

/** Above what one may look at but not change. */
export function OnlyOwners({ what }: { what: string }) {
  return <div className="mb-4"><Note>Only an owner may {what}. You can see everything here; ask an owner if something should be different.</Note></div>;
}
