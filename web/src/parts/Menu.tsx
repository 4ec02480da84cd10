// Menus, tabs and tooltips (Radix), in our clothes.
import { DropdownMenu, Tabs as RadixTabs, Tooltip as RadixTooltip } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";
import type { Icon } from "./Button";

export interface MenuItem {
  label: string;
  icon?: Icon;
  onSelect: () => void;
  danger?: boolean;
  disabled?: boolean;
  /** Draws a mark: this is the chosen one. */
  checked?: boolean;
}

/** A button that opens a menu. `null` in `items` draws a line. `trigger` is one Button or IconButton. */
export function Menu({ trigger, items, label }: { trigger: ReactNode; items: (MenuItem | null)[]; label?: string }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align="end" sideOffset={6} aria-label={label} className="z-50 min-w-48 motion-safe:animate-rise rounded-md border border-line bg-raised p-1 shadow-high">
          {items.map((item, at) =>
            item ? (
              <DropdownMenu.Item
                key={item.label}
                disabled={item.disabled}
                onSelect={item.onSelect}
                {...(item.checked === undefined ? {} : { role: "menuitemradio", "aria-checked": item.checked })}
                className={cn(
                  "target flex cursor-pointer items-center gap-2.5 rounded-sm px-2.5 text-base outline-none data-disabled:cursor-default data-disabled:opacity-50 data-highlighted:bg-accent-wash",
                  item.danger && "text-bad data-highlighted:bg-bad-wash",
                )}
              >
                {item.icon && <item.icon size={18} className="shrink-0" />}
                <span className="flex-1">{item.label}</span>
                {item.checked && <span aria-hidden="true" className="text-accent">●</span>}
              </DropdownMenu.Item>
            ) : (
              <DropdownMenu.Separator key={at} className="my-1 h-px bg-line" />
            ),
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

export interface Tab {
  value: string;
  label: string;
  count?: number;
}

/** Tabs. Keep `value` in the address. Children: one TabPanel a tab. */
export function Tabs({ tabs, value, onChange, label, children }: { tabs: Tab[]; value: string; onChange: (value: string) => void; label: string; children: ReactNode }) {
  return (
    <RadixTabs.Root value={value} onValueChange={onChange} activationMode="manual">
      <RadixTabs.List aria-label={label} className="mb-5 flex gap-1 overflow-x-auto border-b border-line [scrollbar-width:none]">
        {tabs.map((tab) => (
          <RadixTabs.Trigger
            key={tab.value}
            value={tab.value}
            className="target -mb-px shrink-0 border-b-2 border-transparent px-3 font-medium text-soft -outline-offset-2 hover:text-ink data-[state=active]:border-accent data-[state=active]:text-ink"
          >
            {tab.label}
            {tab.count !== undefined && <span className="ml-1.5 rounded-full bg-sunken px-1.5 text-xs text-soft">{tab.count}</span>}
          </RadixTabs.Trigger>
        ))}
      </RadixTabs.List>
      {children}
    </RadixTabs.Root>
  );
}

export function TabPanel({ value, children }: { value: string; children: ReactNode }) {
  return <RadixTabs.Content value={value} className="rounded-md outline-offset-4">{children}</RadixTabs.Content>;
}

/** A hint for the mouse and for focus. Never the only place something is said. */
export function Tooltip({ text, children }: { text: ReactNode; children: ReactNode }) {
  return (
    <RadixTooltip.Provider delayDuration={350}>
      <RadixTooltip.Root>
        <RadixTooltip.Trigger asChild>{children}</RadixTooltip.Trigger>
        <RadixTooltip.Portal>
          <RadixTooltip.Content sideOffset={6} collisionPadding={12} className="z-50 max-w-72 motion-safe:animate-fade rounded-sm bg-ink px-2.5 py-1.5 text-sm text-page shadow-mid">
            {text}
          </RadixTooltip.Content>
        </RadixTooltip.Portal>
      </RadixTooltip.Root>
    </RadixTooltip.Provider>
  );
}
