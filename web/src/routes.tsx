// The addresses of the page. Every page is a chunk of its own.
import { lazy } from "react";
import { createBrowserRouter } from "react-router";
import { Shell } from "./shell/Shell";

const Hub = lazy(() => import("./pages/Hub"));
const Connect = lazy(() => import("./pages/Connect"));
const Library = lazy(() => import("./pages/Library"));
const Call = lazy(() => import("./pages/Call"));
const Jobs = lazy(() => import("./pages/Jobs"));
const Job = lazy(() => import("./pages/Job"));
const Failed = lazy(() => import("./pages/Failed"));
const FailedDetail = lazy(() => import("./pages/FailedDetail"));
const Coverage = lazy(() => import("./pages/Coverage"));
const Replay = lazy(() => import("./pages/Replay"));
const Pipeline = lazy(() => import("./pages/Pipeline"));
const Settings = lazy(() => import("./pages/Settings"));
const Admin = lazy(() => import("./pages/Admin"));
const NotFound = lazy(() => import("./pages/NotFound"));
const Kit = lazy(() => import("./pages/Kit"));

export const router = createBrowserRouter([
  {
    element: <Shell />,
    children: [
      { path: "/", element: <Hub /> },
      { path: "/connect/:platform?", element: <Connect /> },
      { path: "/calls", element: <Library /> },
      { path: "/calls/:id", element: <Call /> },
      { path: "/jobs", element: <Jobs /> },
      { path: "/jobs/:id", element: <Job /> },
      { path: "/failed", element: <Failed /> },
      { path: "/failed/:id", element: <FailedDetail /> },
      { path: "/coverage", element: <Coverage /> },
      { path: "/replay", element: <Replay /> },
      { path: "/pipeline", element: <Pipeline /> },
      { path: "/settings/:tab?", element: <Settings /> },
      { path: "/admin", element: <Admin /> },
      { path: "/kit", element: <Kit /> },
      { path: "*", element: <NotFound /> },
    ],
  },
]);
