// An address that leads nowhere.
import { RiCompassDiscoverLine } from "@remixicon/react";
import { ButtonLink, EmptyState, PageHeader } from "@/parts";

export default function NotFound() {
  return (
    <>
      <PageHeader title="There is no such page" />
      <EmptyState icon={RiCompassDiscoverLine} title="This address leads nowhere" action={<ButtonLink to="/" kind="primary">To the Import Hub</ButtonLink>}>
        Perhaps the link is old, or a letter went missing on the way.
      </EmptyState>
    </>
  );
}
