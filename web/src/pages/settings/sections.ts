// The sections of Settings, in their order: what each is for, and for whom.
import {
  RiBarChart2Line, RiGroupLine, RiHistoryLine, RiInboxArchiveLine, RiKey2Line, RiPaletteLine, RiSendPlaneLine, RiSlackLine, RiTimeLine,
} from "@remixicon/react";
import type { ComponentType } from "react";
import type { Icon } from "@/parts/Button";
import { Appearance } from "./Appearance";
import { Audit } from "./Audit";
import { Hours } from "./Hours";
import { Incoming } from "./Incoming";
import { Keys } from "./Keys";
import { People } from "./People";
import { Slack, Webhooks } from "./Subscriptions";
import { Usage } from "./Usage";

export interface Section {
  value: string;
  label: string;
  lead: string;
  icon: Icon;
  /** Who may open it; all where it is not given. */
  roles?: readonly string[];
  Part: ComponentType;
}

const OPERATORS = ["owner", "support"];

export const SECTIONS: readonly Section[] = [
  { value: "keys", label: "API keys", icon: RiKey2Line, Part: Keys, lead: "A key lets a program of yours read calls or start imports. Give each program its own, so that you can take one back alone." },
  { value: "webhooks-in", label: "Incoming addresses", icon: RiInboxArchiveLine, Part: Incoming, lead: "Addresses that a source sends new calls to the moment they are ready, instead of with the next sync." },
  { value: "webhooks", label: "Webhooks", icon: RiSendPlaneLine, roles: OPERATORS, Part: Webhooks, lead: "Have your own systems told when a call is imported, when one fails, or when an import is over." },
  { value: "slack", label: "Slack", icon: RiSlackLine, roles: OPERATORS, Part: Slack, lead: "Short messages in a channel when an import is over or a call could not be imported." },
  { value: "window", label: "Processing window", icon: RiTimeLine, Part: Hours, lead: "The hours of the day in which large imports may run, for example only at night." },
  { value: "usage", label: "Usage", icon: RiBarChart2Line, Part: Usage, lead: "What was imported and transcribed, what that probably cost, and what your plan has left." },
  { value: "people", label: "People", icon: RiGroupLine, roles: OPERATORS, Part: People, lead: "Who has access to this workspace, and what each may do." },
  { value: "audit", label: "Audit log", icon: RiHistoryLine, roles: OPERATORS, Part: Audit, lead: "Who did what, and when. Nothing here can be changed or removed." },
  { value: "appearance", label: "Appearance", icon: RiPaletteLine, Part: Appearance, lead: "How callstream looks on this device. Nobody else is affected." },
];

export const sectionOf = (value: string | undefined): Section | undefined => SECTIONS.find((each) => each.value === value);
