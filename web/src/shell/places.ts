// The places of the page, in the order of the navigation.
import {
  RiAppsLine, RiBookOpenLine, RiCalendarCheckLine, RiErrorWarningLine, RiEqualizerLine, RiHistoryLine, RiListCheck3, RiSettings3Line, RiUserSearchLine,
} from "@remixicon/react";
import type { Session } from "@/api/client";
import type { Icon } from "@/parts/Button";

export interface Place {
  to: string;
  label: string;
  /** For the narrow bar of phones. */
  short?: string;
  icon: Icon;
  /** Who sees it; all where it is not given. */
  roles?: readonly string[];
  count?: "failed";
  /** In the bottom bar of phones; the others stand under "More". */
  bar?: boolean;
}

const PLACES: readonly Place[] = [
  { to: "/", label: "Import Hub", short: "Hub", icon: RiAppsLine, bar: true },
  { to: "/calls", label: "Library", icon: RiBookOpenLine, bar: true },
  { to: "/jobs", label: "Jobs", icon: RiListCheck3, bar: true },
  { to: "/failed", label: "Failed imports", short: "Failed", icon: RiErrorWarningLine, count: "failed", bar: true },
  { to: "/coverage", label: "Coverage", icon: RiCalendarCheckLine },
  { to: "/replay", label: "Replay", icon: RiHistoryLine, roles: ["owner", "support"] },
  { to: "/pipeline", label: "Pipeline", icon: RiEqualizerLine, roles: ["owner", "support"] },
  { to: "/settings", label: "Settings", icon: RiSettings3Line },
  { to: "/admin", label: "Admin", icon: RiUserSearchLine, roles: ["owner", "support"] },
];

export const placesOf = (session: Session): readonly Place[] => PLACES.filter((each) => !each.roles || each.roles.includes(session.role));
