// What most people need not see: a line that opens.
import { RiArrowRightSLine } from "@remixicon/react";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

export function Disclosure({ label, open, children, className }: { label: string; /** True holds it open, such as for a mistake inside. */ open?: boolean; children: ReactNode; className?: string }) {
  return (
    <details open={open} className={cn("group/open", className)}>
      <summary className="target flex cursor-pointer list-none items-center gap-1 font-medium [&::-webkit-details-marker]:hidden">
        <RiArrowRightSLine size={20} className="-ml-1 shrink-0 text-soft transition-transform group-open/open:rotate-90" />
        {label}
      </summary>
      <div className="mt-1.5">{children}</div>
    </details>
  );
}
