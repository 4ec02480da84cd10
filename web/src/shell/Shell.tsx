// The frame around every page: navigation, who is signed in, the state of the connection, and the page itself.
import { RiComputerLine, RiLogoutBoxRLine, RiMenuLine, RiMoonLine, RiSunLine, RiUser3Line } from "@remixicon/react";
import { Suspense, useEffect, useRef, useState } from "react";
import { NavLink, Outlet, ScrollRestoration, useLocation } from "react-router";
import { api, type Session } from "@/api/client";
import { listen, useConnection } from "@/api/events";
import { queryClient, useFailedCount, useSession } from "@/api/queries";
import { cn } from "@/lib/cn";
import { num } from "@/lib/format";
import { roleWords } from "@/lib/words";
import { IconButton } from "@/parts/Button";
import { Sheet } from "@/parts/Dialog";
import { Menu } from "@/parts/Menu";
import { ErrorState, Loading, Skeleton } from "@/parts/States";
import { Toaster, toast } from "@/parts/toast";
import { setTheme, useTheme, type Theme } from "@/theme";
import { ErrorBoundary } from "./ErrorBoundary";
import { JobToasts } from "./JobToasts";
import { placesOf, type Place } from "./places";
import { SignedOut } from "./SignedOut";

export function Shell() {
  const session = useSession();
  const { pathname } = useLocation();
  if (session.isPending) return <PageSkeleton />;
  if (session.isError && !session.data) return <main className="mx-auto max-w-xl pt-20"><ErrorState error={session.error} onRetry={session.refetch} title="callstream does not answer" /></main>;
  if (!session.data) return <SignedOut />;
  return <Frame session={session.data} key={session.data.user_id} at={pathname} />;
}

function Frame({ session, at }: { session: Session; at: string }) {
  const places = placesOf(session);
  const [more, setMore] = useState(false);
  const main = useRef<HTMLElement>(null);
  const first = useRef(at);
  useEffect(listen, []);
  useEffect(() => {
    if (first.current === at) return;
    first.current = at;
    main.current?.focus({ preventScroll: true }); // a new page is read from its beginning
  }, [at]);
  return (
    <div className="min-h-dvh sm:grid sm:grid-cols-[4.25rem_minmax(0,1fr)] lg:grid-cols-[15rem_minmax(0,1fr)]">
      <a href="#content" className="sr-only z-50 rounded-md bg-raised px-4 py-2 font-semibold shadow-high focus:not-sr-only focus:fixed focus:top-3 focus:left-3">
        Skip to content
      </a>
      <aside className="sticky top-0 hidden h-dvh flex-col overflow-y-auto border-r border-line bg-sunken px-2.5 py-4 sm:flex lg:px-3.5">
        <NavLink to="/" className="mb-5 flex items-center gap-2.5 rounded-md px-2 py-1" aria-label="callstream, to the Import Hub">
          <Sign /><span className="hidden font-serif text-lg font-semibold tracking-tight lg:inline">callstream</span>
        </NavLink>
        <nav aria-label="Main" className="flex flex-1 flex-col gap-0.5">
          {places.map((place) => <SideLink key={place.to} place={place} />)}
        </nav>
        <Account session={session} />
      </aside>
      <div className="flex min-w-0 flex-col pb-20 sm:pb-0">
        <ConnectionBanner />
        <main id="content" ref={main} tabIndex={-1} className="mx-auto w-full max-w-[1280px] flex-1 px-4 py-6 outline-none sm:px-7 sm:py-8 lg:px-10">
          <ErrorBoundary resetKey={at}>
            <Suspense fallback={<PageSkeleton bare />}><Outlet /></Suspense>
          </ErrorBoundary>
        </main>
      </div>
      <nav aria-label="Main" className="fixed inset-x-0 bottom-0 z-30 grid grid-cols-5 border-t border-line bg-raised pb-[env(safe-area-inset-bottom)] sm:hidden">
        {places.filter((each) => each.bar).map((place) => <BarLink key={place.to} place={place} />)}
        <button type="button" onClick={() => setMore(true)} aria-haspopup="dialog" className={BAR}>
          <RiMenuLine size={22} />More
        </button>
      </nav>
      <Sheet open={more} onOpenChange={setMore} title="More">
        {/* A choice closes the sheet; the links themselves are reached by keyboard. */}
        {/* eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions */}
        <nav aria-label="More" className="flex flex-col gap-1" onClick={() => setMore(false)}>
          {places.filter((each) => !each.bar).map((place) => <SideLink key={place.to} place={place} wide />)}
        </nav>
        <div className="mt-4 border-t border-line pt-4"><Account session={session} wide /></div>
      </Sheet>
      <ScrollRestoration />
      <Toaster />
      <JobToasts />
    </div>
  );
}

const BAR = "flex min-h-14 min-w-0 flex-col items-center justify-center gap-0.5 text-xs font-medium text-soft -outline-offset-2";

function Sign() {
  return (
    <svg viewBox="0 0 32 32" className="size-8 shrink-0" aria-hidden="true">
      <rect width="32" height="32" rx="8" className="fill-accent" />
      <path d="M8 13.5v5M13.3 9v14M18.7 11.5v9M24 14.5v3" className="stroke-on-accent" strokeWidth="2.4" strokeLinecap="round" />
    </svg>
  );
}

function SideLink({ place, wide }: { place: Place; wide?: boolean }) {
  return (
    <NavLink
      to={place.to}
      end={place.to === "/"}
      title={place.label}
      className={({ isActive }) =>
        cn("target relative flex items-center gap-3 rounded-md px-2.5 font-medium transition-colors", !wide && "max-lg:justify-center max-lg:px-0",
          isActive ? "bg-card text-ink shadow-low" : "text-soft hover:bg-card/60 hover:text-ink")}
    >
      {({ isActive }) => (
        <>
          <place.icon size={20} className={cn("shrink-0", isActive && "text-accent")} />
          <span className={wide ? undefined : "sr-only lg:not-sr-only"}>{place.label}</span>
          {place.count && <FailedCount wide={wide} />}
        </>
      )}
    </NavLink>
  );
}

function BarLink({ place }: { place: Place }) {
  return (
    <NavLink to={place.to} end={place.to === "/"} aria-label={place.count ? undefined : place.label} className={({ isActive }) => cn(BAR, "relative", isActive && "text-accent")}>
      <place.icon size={22} />
      <span className="max-w-full truncate px-0.5">{place.short ?? place.label}</span>
      {place.count && <FailedCount />}
    </NavLink>
  );
}

function FailedCount({ wide }: { wide?: boolean }) {
  const found = useFailedCount();
  if (!found) return null;
  return (
    <span className={cn("rounded-full bg-bad px-1.5 text-xs font-bold text-on-bad tabular-nums", wide ? "ml-auto" : "absolute top-0.5 right-1 lg:static lg:ml-auto max-sm:right-[18%]")}>
      <span aria-hidden="true">{found > 99 ? "99+" : num(found)}</span>
      <span className="sr-only">, {num(found)} open</span>
    </span>
  );
}

const THEMES: { value: Theme; label: string; icon: typeof RiSunLine }[] = [
  { value: "light", label: "Light", icon: RiSunLine },
  { value: "dark", label: "Dark", icon: RiMoonLine },
  { value: "system", label: "As the system", icon: RiComputerLine },
];

function Account({ session, wide }: { session: Session; wide?: boolean }) {
  const theme = useTheme();
  const chosen = THEMES.find((each) => each.value === theme)!;
  const signOut = async () => {
    try {
      await api.POST("/api/session/sign-out");
      queryClient.clear();
      queryClient.setQueryData(["session"], null);
    } catch (error) {
      toast.problem("You are still signed in", error);
    }
  };
  const themes = THEMES.map((each) => ({ label: each.label, icon: each.icon, checked: each.value === theme, onSelect: () => setTheme(each.value) }));
  return (
    <div className={cn("mt-4 flex items-center gap-2", !wide && "max-lg:flex-col")}>
      <span className={cn("min-w-0 flex-1 leading-tight", !wide && "max-lg:hidden")}>
        <span className="block truncate font-medium">{session.name}</span>
        <span className="block truncate text-xs text-soft">{roleWords(session.role)} · {session.workspace_name}</span>
      </span>
      <Menu label="Appearance" trigger={<IconButton label={`Appearance: ${chosen.label}`} icon={chosen.icon} />} items={themes} />
      <Menu
        label="Account"
        trigger={<IconButton label={`Account of ${session.name}`} icon={RiUser3Line} />}
        items={[{ label: "Sign out", icon: RiLogoutBoxRLine, onSelect: () => void signOut() }]}
      />
    </div>
  );
}

/** Quiet, and gone by itself: over the page, so that nothing moves. */
function ConnectionBanner() {
  const lost = useConnection() === "lost";
  return (
    <div role="status" className="pointer-events-none fixed inset-x-0 top-3 z-40 flex justify-center px-4">
      {lost && (
        <span className="pointer-events-auto flex items-center gap-2.5 rounded-full border border-line bg-raised px-4 py-1.5 text-sm font-medium shadow-high motion-safe:animate-rise">
          <span className="size-2 rounded-full bg-warn motion-safe:animate-breathe" />Connection lost, trying again…
        </span>
      )}
    </div>
  );
}

export function PageSkeleton({ bare }: { bare?: boolean }) {
  const body = (
    <div>
      <Loading />
      <Skeleton className="mb-3 h-8 w-56" /><Skeleton className="mb-8 h-4 w-80 max-w-full" />
      <div className="grid gap-4 md:grid-cols-2 xl:grid-cols-3">{[0, 1, 2].map((each) => <Skeleton key={each} as="card" className="h-44" />)}</div>
    </div>
  );
  return bare ? body : (
    <div className="min-h-dvh sm:grid sm:grid-cols-[4.25rem_minmax(0,1fr)] lg:grid-cols-[15rem_minmax(0,1fr)]">
      <div className="hidden border-r border-line bg-sunken sm:block" />
      <div className="mx-auto w-full max-w-[1280px] px-4 py-6 sm:px-7 sm:py-8 lg:px-10">{body}</div>
    </div>
  );
}

