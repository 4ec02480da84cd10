// Settings: keys, notifications, limits and people of this workspace. Which section is open stands in the address.
import { useEffect, useRef } from "react";
import { Navigate, NavLink, useParams } from "react-router";
import { useSession } from "@/api/queries";
import { cn } from "@/lib/cn";
import { PageHeader } from "@/parts";
import { Gate } from "./settings/Gate";
import { SECTIONS, sectionOf, type Section } from "./settings/sections";

export default function Settings() {
  const { tab } = useParams();
  const section = sectionOf(tab);
  const role = useSession().data?.role ?? "member";
  if (!section) return <Navigate to={`/settings/${SECTIONS[0]!.value}`} replace />;
  return (
    <>
      <PageHeader title="Settings" tab={`${section.label} · Settings`} lead="Keys, notifications, limits and people of this workspace." />
      <div className="grid grid-cols-[minmax(0,1fr)] gap-x-10 gap-y-6 xl:grid-cols-[12rem_minmax(0,1fr)]">
        <Sections current={section} />
        <section aria-labelledby="section" className="min-w-0">
          <h2 id="section" className="text-xl font-semibold">{section.label}</h2>
          <p className="mt-0.5 mb-5 max-w-[68ch] text-soft text-pretty">{section.lead}</p>
          {section.roles && !section.roles.includes(role) ? <Gate /> : <section.Part />}
        </section>
      </div>
    </>
  );
}

function Sections({ current }: { current: Section }) {
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    const strip = nav.current;
    const active = strip?.querySelector<HTMLElement>("[aria-current]");
    if (strip && active) strip.scrollLeft = active.offsetLeft - strip.clientWidth / 2 + active.clientWidth / 2; // phones: the strip shows where one is
  }, [current]);
  return (
    <nav
      ref={nav}
      aria-label="Settings"
      className="relative flex gap-1 overflow-x-auto border-b border-line [scrollbar-width:none] max-xl:-mx-4 max-xl:px-4 xl:sticky xl:top-6 xl:flex-col xl:self-start xl:overflow-visible xl:border-0"
    >
      {SECTIONS.map((each) => (
        <NavLink
          key={each.value}
          to={`/settings/${each.value}`}
          className={({ isActive }) =>
            cn(
              "target flex shrink-0 items-center gap-2.5 px-3 font-medium -outline-offset-2 transition-colors max-xl:-mb-px max-xl:border-b-2 xl:rounded-md",
              isActive ? "text-ink max-xl:border-accent xl:bg-accent-wash xl:text-accent" : "text-soft hover:text-ink max-xl:border-transparent xl:hover:bg-sunken",
            )
          }
        >
          <each.icon size={18} className="shrink-0 max-xl:hidden" />{each.label}
        </NavLink>
      ))}
    </nav>
  );
}
