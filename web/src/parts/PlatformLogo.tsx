// The sign of a platform: its logo where the API knows one, else a monogram whose colour is always the same.
import { RiUpload2Line, RiWebhookLine } from "@remixicon/react";
import { usePlatforms } from "@/api/queries";
import { cn } from "@/lib/cn";
import { hue, initials } from "@/lib/format";
import { readable } from "@/lib/words";

const HUES = ["bg-speaker-1", "bg-speaker-2", "bg-speaker-3", "bg-speaker-4", "bg-speaker-5", "bg-speaker-6", "bg-speaker-7", "bg-speaker-8"];
const SIZES = { sm: "size-6 text-xs", md: "size-9 text-sm", lg: "size-12 text-lg" };
const OWN = { upload: RiUpload2Line, generic: RiWebhookLine };

/** The name people know a platform by. */
export function usePlatformName(platform: string | null | undefined): string {
  return nameOf(platform, usePlatforms().data);
}

function nameOf(platform: string | null | undefined, known: readonly { platform: string; display_name: string }[] | undefined): string {
  if (!platform) return "Unknown source";
  return known?.find((each) => each.platform === platform)?.display_name ?? { upload: "Upload", generic: "Webhook", all: "All sources" }[platform] ?? readable(platform);
}

/** Decorative: the name stands beside it, or is given as `title`; with `named` it says the platform's own name. */
export function PlatformLogo({ platform, size = "md", title, named }: { platform: string; size?: "sm" | "md" | "lg"; title?: string; named?: boolean }) {
  const known = usePlatforms().data;
  const logo = known?.find((each) => each.platform === platform)?.logo;
  const name = nameOf(platform, known);
  const box = cn("inline-grid shrink-0 place-items-center overflow-hidden rounded-md font-bold select-none", SIZES[size]);
  const words = title ?? (named ? name : undefined);
  const said = words ? { role: "img", "aria-label": words, title: words } : { "aria-hidden": true };
  if (logo) return <span {...said} className={cn(box, "border border-line bg-card")}><img src={logo} alt="" className="size-[70%] object-contain" /></span>;
  const OwnIcon = OWN[platform as keyof typeof OWN];
  return (
    <span {...said} className={cn(box, "text-page", HUES[hue(platform) - 1])}>
      {OwnIcon ? <OwnIcon size={size === "sm" ? 14 : 20} /> : initials(name)}
    </span>
  );
}
