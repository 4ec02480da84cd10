// The ways into a platform: tabs where there are several, and in each what it needs.
import type { Shape, Source } from "@/api/client";
import { useAddress } from "@/lib/address";
import { Card, TabPanel, Tabs } from "@/parts";
import { FormWay } from "./FormWay";
import { SignInWay } from "./SignInWay";
import { wayName, waysOf } from "./words";

export interface WayProps {
  platform: Shape<"Platform">;
  way: Shape<"WayIn">;
  /** The source that is connected again. */
  again: Source | undefined;
}

export function Wizard({ platform, again }: { platform: Shape<"Platform">; again: Source | undefined }) {
  const [params, change] = useAddress();
  const ways = waysOf(platform);
  const usual = ways.find((each) => each.kind === again?.credential?.kind) ?? ways[0]!;
  const chosen = ways.find((each) => each.kind === params.get("way")) ?? usual;
  if (ways.length === 1) return <Card as="div"><Way platform={platform} way={chosen} again={again} /></Card>;
  return (
    <Card as="div">
      <Tabs label="How to connect" value={chosen.kind} onChange={(way) => change({ way })} tabs={ways.map((each) => ({ value: each.kind, label: wayName(each, platform) }))}>
        {ways.map((each) => <TabPanel key={each.kind} value={each.kind}><Way platform={platform} way={each} again={again} /></TabPanel>)}
      </Tabs>
    </Card>
  );
}

function Way(props: WayProps) {
  return props.way.kind === "oauth" ? <SignInWay {...props} /> : <FormWay {...props} />;
}
