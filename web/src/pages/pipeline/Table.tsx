// The picture in words: one row a step.
import { Link } from "react-router";
import { duration, num } from "@/lib/format";
import { stageWords } from "@/lib/words";
import { Badge, Card } from "@/parts";
import { ICONS } from "./Flow";
import { rateWords, readingOf, type Picture } from "./reading";

export function Table({ picture }: { picture: Picture }) {
  const cell = "py-2.5 pr-4 align-top max-sm:flex max-sm:justify-between max-sm:gap-4 max-sm:py-1 max-sm:pr-0 max-sm:before:text-soft max-sm:before:content-[attr(data-label)]";
  return (
    <Card title="The steps in numbers">
      <table className="w-full text-left max-sm:block">
        <thead className="max-sm:sr-only">
          <tr className="border-b border-line text-sm text-soft">
            {["Step", "State", "Goes on", "Waiting", "Failed imports", "Workers"].map((each) => <th key={each} scope="col" className="py-2 pr-4 font-medium">{each}</th>)}
          </tr>
        </thead>
        <tbody className="divide-y divide-line max-sm:block">
          {picture.stages.map((step) => {
            const reading = readingOf(step, picture.oldest_waiting_seconds);
            return (
              <tr key={step.name} className="max-sm:block max-sm:py-2.5">
                <th scope="row" className="py-2.5 pr-4 align-top font-semibold max-sm:block max-sm:py-1">{stageWords(step.name)}</th>
                <td className={cell} data-label="State"><Badge tone={reading.tone} icon={ICONS[reading.condition]}>{reading.word}</Badge></td>
                <td className={cell} data-label="Goes on">{rateWords(step.per_second)}</td>
                <td className={cell} data-label="Waiting">{num(step.waiting)}</td>
                <td className={cell} data-label="Failed imports">
                  {step.failed ? <Link className="link" to={`/failed?stage=${step.name}`} aria-label={`${num(step.failed)} failed at: ${stageWords(step.name)}`}>{num(step.failed)}</Link> : "0"}
                </td>
                <td className={cell} data-label="Workers">{num(step.workers)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p className="mt-3 text-sm text-soft">
        Waiting and speed are those of the whole installation; failed imports are yours.
        {picture.oldest_waiting_seconds !== null && ` The oldest that waits has waited for ${duration(picture.oldest_waiting_seconds)}.`}
      </p>
    </Card>
  );
}
