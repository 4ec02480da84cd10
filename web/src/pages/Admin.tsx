// Admin: import on behalf of a customer.
import { PageHeader } from "@/parts";

export default function Admin() {
  return <PageHeader title="Admin" lead="Import on behalf of a customer." />;
}
