// Tells how the jobs end that this person began, on whatever page they are meanwhile.
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useNavigate } from "react-router";
import { api, asProblem, data, type Job } from "@/api/client";
import { unfollowJob, useFollowed, type Followed } from "@/api/follow";
import { endOf, isLate, isOver } from "@/lib/jobs";
import { toast } from "@/parts/toast";

const LOOK_AGAIN = 15_000; // live events tell it sooner; this is for those that were missed

const ended = (job: Job) => isOver(job) || isLate(job);

export function JobToasts() {
  return useFollowed().map((each) => <One key={each.id} followed={each} />);
}

function One({ followed: { id, name } }: { followed: Followed }) {
  const navigate = useNavigate();
  const { data: job, error } = useQuery<Job>({
    queryKey: ["job", id],
    placeholderData: undefined,
    refetchInterval: ({ state }) => (state.data && ended(state.data) ? false : LOOK_AGAIN),
    queryFn: () => data(api.GET("/api/imports/{job_id}", { params: { path: { job_id: id } } })),
  });
  useEffect(() => {
    if (error && asProblem(error).status === 404) unfollowJob(id);
    if (!job || !ended(job) || !unfollowJob(id)) return;
    for (const each of endOf(job, name)) {
      const action = each.leads && { label: "Show", onClick: () => void navigate(each.leads === "failed" ? `/failed?job_id=${id}` : `/jobs/${id}`) };
      toast[each.tone](each.title, { detail: each.detail, action });
    }
  }, [job, error, id, name, navigate]);
  return null;
}
