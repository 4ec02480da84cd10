// Admin: imports on behalf of somebody of the workspace, with a credential that is used once. What is open stands in the address.
import { RiAddLine, RiUserSearchLine } from "@remixicon/react";
import { useSession } from "@/api/queries";
import { useAddress } from "@/lib/address";
import { Button, EmptyState, PageHeader } from "@/parts";
import { DataTable } from "@/parts/DataTable";
import { Gate } from "./settings/Gate";
import { COLUMNS } from "./admin/columns";
import { useAdminImports, type AdminView } from "./admin/data";
import { Detail } from "./admin/Detail";
import { NewImport } from "./admin/NewImport";

const LEAD = "Import calls for somebody of this workspace with a sign-in they gave you once. It is kept encrypted, and deleted when the import ends.";

export default function Admin() {
  const role = useSession().data?.role;
  const [address, change] = useAddress();
  const job = address.get("job");
  if (role === "member")
    return (
      <>
        <PageHeader title="Admin" lead={LEAD} />
        <Gate />
      </>
    );
  if (job) return <Detail key={job} id={job} />;
  if (address.get("new")) return <NewImport onStarted={(id) => change({ new: null, job: id })} onClose={() => change({ new: null })} />;
  return <All onNew={() => change({ new: "1" }, { push: true })} onOpen={(id) => change({ job: id }, { push: true })} />;
}

function All({ onNew, onOpen }: { onNew: () => void; onOpen: (id: string) => void }) {
  const list = useAdminImports();
  const create = <Button kind="primary" icon={RiAddLine} onClick={onNew}>New import</Button>;
  return (
    <>
      <PageHeader title="Admin" lead={LEAD} actions={create} />
      <DataTable<AdminView>
        label="Imports on behalf of somebody"
        columns={COLUMNS}
        query={list}
        rowId={(each) => each.job_id}
        onRowOpen={(each) => onOpen(each.job_id)}
        rowHeight={66}
        empty={
          <EmptyState icon={RiUserSearchLine} title="Nothing was imported on behalf of anybody" action={create}>
            Choose for whom, where from, and which days. Nothing of the sign-in stays when it is over.
          </EmptyState>
        }
      />
    </>
  );
}
