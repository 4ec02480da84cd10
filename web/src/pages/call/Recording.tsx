// The recording itself: a picture where there is one, else only sound. The deck plays it.
import { useEffect, useRef } from "react";
import type { Player } from "./player";

export function Recording({ player, address, video, captions }: { player: Player; address: string; video: boolean; /** Where its captions are. */ captions: string }) {
  const picture = useRef<HTMLVideoElement>(null);
  const sound = useRef<HTMLAudioElement>(null);
  useEffect(() => player.attach(picture.current ?? sound.current), [player, video]);
  if (!video) return <audio ref={sound} src={address} preload="metadata"><track kind="captions" label="Transcript" src={captions} /></audio>;
  return (
    <video ref={picture} src={address} preload="metadata" playsInline onClick={player.toggle} className="mx-auto max-h-[38dvh] w-full rounded-md bg-sunken">
      <track kind="captions" label="Transcript" src={captions} />
    </video>
  );
}
